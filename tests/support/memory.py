"""The most memory that this process held since a moment, on Linux."""

from pathlib import Path

PROCESS = Path("/proc/self")


def resident(field: str = "VmRSS") -> int:
    """Return the bytes held now, or with ``VmHWM`` the most since `forget_peak`; elsewhere 0."""
    if not (PROCESS / "status").exists():
        return 0
    (line,) = [li for li in (PROCESS / "status").read_text().splitlines() if li.startswith(field)]
    return int(line.split()[1]) * 1024


def forget_peak() -> int:
    """Begin to measure the most: what other tests of this process held counts no more."""
    if (PROCESS / "clear_refs").exists():
        (PROCESS / "clear_refs").write_text("5")
    return resident()

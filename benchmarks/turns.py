"""Timing several things in turns, so that what disturbs the machine disturbs all of them alike."""

import contextlib
import gc
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import torch
from torch.utils.flop_counter import FlopCounterMode

MOST_ROUNDS = 200
LEAST_ROUNDS = 5


@attrs.frozen(kw_only=True)
class Timing:
    """What one contender took.

    Attributes:
        seconds: one a round.
        warm_up: seconds of the first call: compiling, choosing kernels, first allocations.
        peak_bytes: the most memory in use meanwhile: of the device, or of the whole process on a
            CPU.
    """

    seconds: list[float]
    warm_up: float
    peak_bytes: int


def in_turns(
    work: Mapping[str, Callable[[], object]], device: torch.device, seconds: float
) -> dict[str, Timing]:
    """Time each contender round by round for about so many seconds in all.

    A device that works on its own is waited for before the clock is read.
    """
    forget_peak(device)
    warm = {name: _time(call, device) for name, call in work.items()}
    rounds: dict[str, list[float]] = {name: [] for name in work}
    for call in work.values():
        call()
    gc.collect()
    started = time.perf_counter()
    for done in range(MOST_ROUNDS):
        if done >= LEAST_ROUNDS and time.perf_counter() - started > seconds:
            break
        for name, call in work.items():
            rounds[name].append(_time(call, device))
    peak = peak_bytes(device)
    return {
        name: Timing(seconds=times, warm_up=warm[name], peak_bytes=peak)
        for name, times in rounds.items()
    }


def _time(call: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def forget_peak(device: torch.device) -> None:
    """Begin to look for the most memory in use, where the system can begin anew (not on macOS)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_bytes(device: torch.device) -> int:
    """Return the most memory that was in use since then.

    `getrusage` alone would not do: a new process takes over the figure of the one that started it.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Measure the GFLOP/s of a matrix product: the limit for convolutions, best of many."""
    size = 8192 if device.type == "cuda" else 768
    a = torch.randn(size, size, device=device).to(dtype)
    b = torch.randn(size, size, device=device).to(dtype)
    timing = in_turns({"product": lambda: a @ b}, device, 1.0)["product"]
    return 2 * size**3 / min(timing.seconds) / 1e9


def count_gflop(call: Callable[[], object]) -> float:
    """Count the multiplications and additions of a call, as PyTorch's own layers would do them."""
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


class ReplayClock:
    """A timer for pytest-benchmark that gives back seconds that were measured before.

    pytest-benchmark times one test after another; contenders in turns are timed at once, and each
    test then hands its own share on.
    """

    def __init__(self) -> None:
        self._readings: list[float] = []

    def load(self, seconds: list[float]) -> None:
        """Take the rounds that the next test reports."""
        self._readings = [t for s in seconds for t in (0.0, s)]

    def __call__(self) -> float:
        """Give the next reading: a round is a start at zero and its end."""
        return self._readings.pop(0)


CLOCK = ReplayClock()

"""Interleaved timing: a disturbance of the machine affects every candidate alike."""

import contextlib
import gc
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import torch
from torch.utils.flop_counter import FlopCounterMode

MAX_ROUNDS = 200
MIN_ROUNDS = 5


@attrs.frozen(kw_only=True)
class Timing:
    """The times of one candidate.

    Attributes:
        seconds: one per round.
        warm_up: seconds of the first call: compiling, choosing kernels, first allocations.
        peak_bytes: peak memory in use: of the device, or of the whole process on a CPU.
    """

    seconds: list[float]
    warm_up: float
    peak_bytes: int


def time_interleaved(
    work: Mapping[str, Callable[[], object]], device: torch.device, seconds: float
) -> dict[str, Timing]:
    """Time the candidates round by round, for about `seconds` in total.

    Work on a GPU is finished before the clock is read.
    """
    reset_peak(device)
    warm = {name: _time(call, device) for name, call in work.items()}
    rounds: dict[str, list[float]] = {name: [] for name in work}
    for call in work.values():
        call()
    gc.collect()
    started = time.perf_counter()
    for done in range(MAX_ROUNDS):
        if done >= MIN_ROUNDS and time.perf_counter() - started > seconds:
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


def reset_peak(device: torch.device) -> None:
    """Reset the peak memory, where the system can (not on macOS)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_bytes(device: torch.device) -> int:
    """Return the peak memory in use since it was reset.

    `getrusage` alone is not enough: a new process inherits the figure of its parent.
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
    """Measure the GFLOP/s of a matrix product, the limit for convolutions: the best of many."""
    size = 8192 if device.type == "cuda" else 768
    a = torch.randn(size, size, device=device).to(dtype)
    b = torch.randn(size, size, device=device).to(dtype)
    timing = time_interleaved({"product": lambda: a @ b}, device, 1.0)["product"]
    return 2 * size**3 / min(timing.seconds) / 1e9


def count_gflop(call: Callable[[], object]) -> float:
    """Count the multiplications and additions of a call, as PyTorch's own layers do them."""
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / 1e9


class ReplayClock:
    """A timer for pytest-benchmark that replays measured seconds.

    pytest-benchmark times one test after another; interleaved candidates are timed together, and
    each test then reports its own seconds.
    """

    def __init__(self) -> None:
        self._readings: list[float] = []

    def load(self, seconds: list[float]) -> None:
        """Load the rounds that the next test reports."""
        self._readings = [t for s in seconds for t in (0.0, s)]

    def __call__(self) -> float:
        """Return the next reading: a round starts at zero and ends at its seconds."""
        return self._readings.pop(0)


CLOCK = ReplayClock()

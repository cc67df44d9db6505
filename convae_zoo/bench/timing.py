"""Interleaved timing: a disturbance of the machine affects every candidate alike."""

import contextlib
import gc
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import torch
from torch.utils.flop_counter import FlopCounterMode

MAX_ROUNDS = 200
MIN_ROUNDS = 5

DISTURBED = 1.25
"""Third quartile over minimum above which the rounds were disturbed, by other work for example."""

INTERRUPTED = 20.0
"""Involuntary context switches per second above which other work took the processor away.

Two processes on one core switch 100 times a second or more; then all rounds are slow alike.
"""

ATTEMPTS = 3


@attrs.frozen(kw_only=True)
class Timing:
    """The times of one candidate.

    Attributes:
        seconds: one per round.
        warm_up: seconds of the first call: compiling, choosing kernels, first allocations.
        peak_bytes: peak memory in use: of the device, or of the whole process on a CPU.
        interruptions: involuntary context switches per second.
    """

    seconds: list[float]
    warm_up: float
    peak_bytes: int
    interruptions: float = 0.0

    @property
    def spread(self) -> float:
        """The third quartile divided by the minimum: 1 on a quiet machine."""
        return statistics.quantiles(self.seconds, n=4, method="inclusive")[2] / min(self.seconds)

    @property
    def is_disturbed(self) -> bool:
        """Whether other work took the processor away, or the rounds differ too much."""
        return self.interruptions > INTERRUPTED or self.spread > DISTURBED


def time_until_stable(
    work: Mapping[str, Callable[[], object]], device: torch.device, seconds: float
) -> dict[str, Timing]:
    """Time candidates as `time_interleaved` does, up to three times until none is disturbed.

    Returns:
        The attempt with the smallest spread, of those that were not interrupted if there are any;
        it may be disturbed.
    """
    attempts = []
    for _ in range(ATTEMPTS):
        attempts.append(time_interleaved(work, device, seconds))
        if not any(timing.is_disturbed for timing in attempts[-1].values()):
            break

    def disturbance(timings: dict[str, Timing]) -> tuple[bool, float]:
        is_interrupted = any(t.interruptions > INTERRUPTED for t in timings.values())
        return is_interrupted, max(t.spread for t in timings.values())

    return min(attempts, key=disturbance)


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
    started, switches = time.perf_counter(), _involuntary_switches()
    for done in range(MAX_ROUNDS):
        if done >= MIN_ROUNDS and time.perf_counter() - started > seconds:
            break
        for name, call in work.items():
            rounds[name].append(_time(call, device))
    interruptions = (_involuntary_switches() - switches) / (time.perf_counter() - started)
    peak = peak_bytes(device)
    return {
        name: Timing(
            seconds=times, warm_up=warm[name], peak_bytes=peak, interruptions=interruptions
        )
        for name, times in rounds.items()
    }


def _time(call: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def _involuntary_switches() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


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


def count_gflop(call: Callable[[], object]) -> float:
    """Count the multiplications and additions of a call, as PyTorch's own layers do them."""
    with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops()) / 1e9


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

"""Interleaved timing: a disturbance of the machine affects every candidate alike.

Rounds in which other work took the processor away are left out.
"""

import contextlib
import gc
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs
import torch
from torch.utils.flop_counter import FlopCounterMode

MAX_ROUNDS = 200
MIN_ROUNDS = 5

DISTURBED = 1.25
"""Third quartile over minimum above which the rounds were disturbed, by other work for example."""

WAITED = 0.02
"""Share of a round that the process's threads may wait for a processor that other work has."""

CALM = 0.9
"""Share of the rounds that must pass without such a wait."""

ATTEMPTS = 3

_REFERENCE = "reference"

Round = tuple[float, float]
"""The seconds that a call took, and those that the process's threads waited for a processor."""


@attrs.frozen(kw_only=True)
class Timing:
    """The times of one candidate.

    Attributes:
        seconds: one per round; only of those in which no thread waited for a processor, unless
            these are less than five.
        warm_up: seconds of the first call: compiling, choosing kernels, first allocations.
        peak_bytes: peak memory in use: of the device, or of the whole process on a CPU.
        waited: whether there were less than five such rounds, or nine tenths of all.
        reference: seconds of the reference that was timed in the same rounds, their first quartile;
            None without one.
    """

    seconds: list[float]
    warm_up: float
    peak_bytes: int
    waited: bool = False
    reference: float | None = None

    @property
    def spread(self) -> float:
        """The third quartile divided by the minimum: 1 on a quiet machine."""
        return self.quartiles[2] / min(self.seconds)

    @property
    def quartiles(self) -> list[float]:
        """The three quartiles of the seconds."""
        return statistics.quantiles(self.seconds, n=4, method="inclusive")

    @property
    def is_disturbed(self) -> bool:
        """Whether other work took the processor away, or the rounds differ too much."""
        return self.waited or self.spread > DISTURBED


def time_until_stable(
    work: Mapping[str, Callable[[], object]],
    device: torch.device,
    seconds: float,
    reference: Callable[[], object] | None = None,
) -> dict[str, Timing]:
    """Time candidates as `time_interleaved` does, up to three times until none is disturbed.

    Args:
        work: the candidates.
        device: where they run.
        seconds: for all of them, in each attempt.
        reference: work that never changes, timed beside them. Where a machine becomes slower or
            faster as a whole, it does so too.

    Returns:
        The undisturbed attempt; or the rounds of all attempts, which may be disturbed.
    """
    work = _with_reference(work, reference)
    first: dict[str, float] = {}
    every: dict[str, list[Round]] = {name: [] for name in work}
    for _ in range(ATTEMPTS):
        warm, rounds = _rounds(work, device, seconds)
        first = first or warm
        timings = _timings(first, rounds, device)
        if not any(timing.is_disturbed for timing in timings.values()):
            return _beside(timings)
        for name, found in rounds.items():
            every[name] += found
    return _beside(_timings(first, every, device))


def time_interleaved(
    work: Mapping[str, Callable[[], object]],
    device: torch.device,
    seconds: float,
    reference: Callable[[], object] | None = None,
) -> dict[str, Timing]:
    """Time the candidates round by round, for about `seconds` in total.

    Work on a GPU is finished before the clock is read.

    Args:
        work: the candidates.
        device: where they run.
        seconds: for all of them.
        reference: as `time_until_stable` takes it.
    """
    work = _with_reference(work, reference)
    return _beside(_timings(*_rounds(work, device, seconds), device))


def _with_reference(
    work: Mapping[str, Callable[[], object]], reference: Callable[[], object] | None
) -> Mapping[str, Callable[[], object]]:
    return work if reference is None else {**work, _REFERENCE: reference}


def _beside(timings: dict[str, Timing]) -> dict[str, Timing]:
    """Let each timing have the reference's first quartile, if there is a reference."""
    reference = timings.pop(_REFERENCE, None)
    if reference is None:
        return timings
    beside = reference.quartiles[0]
    return {name: attrs.evolve(each, reference=beside) for name, each in timings.items()}


def _rounds(
    work: Mapping[str, Callable[[], object]], device: torch.device, seconds: float
) -> tuple[dict[str, float], dict[str, list[Round]]]:
    """Return the seconds of each candidate's first call, and its rounds."""
    reset_peak(device)
    warm = {name: _time(call, device) for name, call in work.items()}
    rounds: dict[str, list[Round]] = {name: [] for name in work}
    for call in work.values():
        call()
    started = time.perf_counter()
    with _no_garbage_collection(), processor_waits() as waits:
        for done in range(MAX_ROUNDS):
            if done >= MIN_ROUNDS and time.perf_counter() - started > seconds:
                break
            for name, call in work.items():
                before = waits()
                elapsed = _time(call, device)
                rounds[name].append((elapsed, waits() - before))
    return warm, rounds


def _timings(
    warm: Mapping[str, float], rounds: Mapping[str, list[Round]], device: torch.device
) -> dict[str, Timing]:
    peak = peak_bytes(device)
    timings = {}
    for name, found in rounds.items():
        calm = [elapsed for elapsed, waited in found if waited <= WAITED * elapsed]
        timings[name] = Timing(
            seconds=calm if len(calm) >= MIN_ROUNDS else [elapsed for elapsed, _ in found],
            warm_up=warm[name],
            peak_bytes=peak,
            # Where many rounds were interrupted, the others are slower, too.
            waited=len(calm) < max(MIN_ROUNDS, CALM * len(found)),
        )
    return timings


@contextlib.contextmanager
def processor_waits() -> Iterator[Callable[[], float]]:
    """Give a function that returns the seconds that the present threads waited for a processor.

    Linux counts them per thread. Elsewhere each involuntary context switch counts as a second.
    """
    with contextlib.ExitStack() as stack:
        try:
            threads = [
                stack.enter_context((task / "schedstat").open("rb", buffering=0))
                for task in Path("/proc/self/task").iterdir()
            ]
        except OSError:
            yield lambda: float(resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw)
        else:
            yield lambda: sum(_waited(thread.fileno()) for thread in threads) / 1e9


def _waited(descriptor: int) -> int:
    """Return the nanoseconds that a thread waited; 0 if it has ended."""
    try:
        return int(os.pread(descriptor, 64, 0).split()[1])
    except (OSError, IndexError):
        return 0


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Let no collection fall into a round; one before each case would take longer than the case."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


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

"""The zoo itself: fresh processes that import, list or show, and loading by path."""

import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

import convae_zoo as zoo
from benchmarks.cold_start import COMMANDS
from benchmarks.conftest import Report
from convae_zoo.bench.timing import CLOCK, time_interleaved
from convae_zoo.weights.names import find_file

CPU = torch.device("cpu")


def _run(command: tuple[str, ...]) -> Callable[[], object]:
    return lambda: subprocess.run(command, check=True, capture_output=True)


@pytest.mark.benchmark(group="zoo", timer=CLOCK)
@pytest.mark.parametrize("what", COMMANDS)
def test_a_fresh_process(what: str, budget: float, report: Report) -> None:
    """A command in fresh processes, interleaved with a bare ``python -c pass``."""
    timings = time_interleaved(
        {what: _run(COMMANDS[what]), "bare": _run(COMMANDS["bare"])}, CPU, 16 * budget
    )
    bare = statistics.median(timings["bare"].seconds)
    times = statistics.median(timings[what].seconds) / bare
    report(timings[what], CPU, who="ours", bare_seconds=round(bare, 5), times_bare=round(times, 2))


@pytest.mark.benchmark(group="zoo", timer=CLOCK)
@pytest.mark.parametrize("who", ["load_file", "build and load_file", "ours"])
@pytest.mark.parametrize("name", ["convae-200.photos", "linear-residual-200.photos"])
def test_loading(name: str, who: str, budget: float, report: Report) -> None:
    """``load_model`` with its checks, against building the module and `load_file` alone."""
    path = Path(str(find_file(name)))
    work: dict[str, Callable[[], object]] = {
        "load_file": lambda: safetensors.torch.load_file(path),
        "build and load_file": lambda: _load_plainly(name, path),
        "ours": lambda: zoo.load_model(name),
    }
    timings = time_interleaved(work, CPU, 4 * budget)
    plain, ours = (statistics.median(timings[w].seconds) for w in ("build and load_file", "ours"))
    report(timings[who], CPU, who=who, ours_times_plain=round(ours / plain, 2))


def _load_plainly(name: str, path: Path) -> torch.nn.Module:
    model = zoo.create_model(name.partition(".")[0])
    model.load_state_dict(safetensors.torch.load_file(path))
    return model

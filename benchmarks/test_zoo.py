"""The zoo itself: fresh processes that import, list or show, and loading by path."""

import json
import statistics
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

import convae_zoo as zoo
from benchmarks.conftest import Report
from convae_zoo.bench.timing import CLOCK, time_interleaved
from convae_zoo.registry.factories import config_values
from convae_zoo.weights.names import find_file

CPU = torch.device("cpu")
SCRIPT = str(Path(sysconfig.get_path("scripts")) / "convae-zoo")
BARE = (sys.executable, "-c", "pass")
COMMANDS = {
    "import": (sys.executable, "-c", "import convae_zoo"),
    "list from python": (sys.executable, "-c", "import convae_zoo; convae_zoo.list_models()"),
    "list": (SCRIPT, "list"),
    "show": (SCRIPT, "show", "convae-200"),
    "plugins": (SCRIPT, "plugins"),
    "train --help": (SCRIPT, "train", "--help"),
    "evaluate": (SCRIPT, "evaluate", "convae-200.photos", "--dataset", "photos", "--no-baseline"),
}
PLAIN_LOAD = """
import importlib, json, sys
import torch
from safetensors.torch import load_file

for name in ("uniform_", "normal_", "kaiming_uniform_"):
    setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)
for name in ("uniform_", "normal_"):
    setattr(torch.Tensor, name, lambda tensor, *_, **__: tensor)
parts = {
    role: getattr(importlib.import_module(module), name)(**config)
    for role, (module, name, config) in json.loads(sys.argv[2]).items()
}
torch.nn.ModuleDict(parts).load_state_dict(load_file(sys.argv[1]))
"""


def _run(command: tuple[str, ...]) -> Callable[[], object]:
    return lambda: subprocess.run(command, check=True, capture_output=True)


@pytest.mark.benchmark(group="zoo", timer=CLOCK)
@pytest.mark.parametrize("what", COMMANDS)
def test_a_fresh_process(what: str, budget: float, report: Report) -> None:
    """A command in fresh processes, interleaved with a bare ``python -c pass``."""
    timings = time_interleaved({what: _run(COMMANDS[what]), "bare": _run(BARE)}, CPU, 16 * budget)
    bare = statistics.median(timings["bare"].seconds)
    times = statistics.median(timings[what].seconds) / bare
    report(timings[what], CPU, who="ours", bare_seconds=round(bare, 5), times_bare=round(times, 2))


@pytest.mark.benchmark(group="zoo", timer=CLOCK)
@pytest.mark.parametrize("name", ["convae-200.photos", "linear-residual-200.photos"])
def test_a_fresh_process_that_loads(name: str, budget: float, report: Report) -> None:
    """`load_model` in fresh processes, interleaved with torch, the bare modules and `load_file`."""
    plan = zoo.load_model(name).plan
    parts = {
        "encoder": (*str(plan.encoder.factory).split(":"), config_values(plan.encoder_config)),
        "decoder": (*str(plan.decoder.factory).split(":"), config_values(plan.decoder_config)),
    }
    ours = (sys.executable, "-c", f"import convae_zoo; convae_zoo.load_model({name!r})")
    plain = (sys.executable, "-c", PLAIN_LOAD, str(find_file(name)), json.dumps(parts))
    timings = time_interleaved({"ours": _run(ours), "plain": _run(plain)}, CPU, 64 * budget)
    times = min(timings["ours"].seconds) / min(timings["plain"].seconds)
    report(timings["ours"], CPU, who="ours", times_plain=round(times, 3))


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

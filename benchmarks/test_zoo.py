"""The zoo itself: import, list, show, and loading by name or path."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

import convae_zoo as zoo
from benchmarks.conftest import Report
from benchmarks.turns import CLOCK, in_turns

CPU = torch.device("cpu")


def _python(code: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.benchmark(group="zoo", timer=CLOCK)
@pytest.mark.parametrize("what", ["python", "import", "list", "show"])
def test_a_fresh_process(what: str, budget: float, report: Report) -> None:
    """A process that does nothing, imports the zoo, lists the models, shows one."""
    code = {
        "python": "pass",
        "import": "import convae_zoo",
        "list": "import convae_zoo as zoo; zoo.list_models()",
        "show": "import convae_zoo as zoo; zoo.model_info('convae-200')",
    }[what]
    report(in_turns({what: _python(code)}, CPU, 4 * budget)[what], CPU, who="ours")


@pytest.mark.benchmark(group="zoo", timer=CLOCK)
@pytest.mark.parametrize("who", ["safetensors", "ours"])
def test_loading(who: str, tmp_path: Path, budget: float, report: Report) -> None:
    """``load_model``, which checks and builds, beside ``safetensors.torch.load_file``."""
    path = tmp_path / "model.safetensors"
    zoo.save_model(zoo.create_model("convae-200"), path)
    work: dict[str, Callable[[], object]] = {
        "safetensors": lambda: safetensors.torch.load_file(path),
        "ours": lambda: zoo.load_model(path),
    }
    timings = in_turns(work, CPU, 2 * budget)
    report(timings[who], CPU, who=who)

"""The benchmark of cold processes."""

import subprocess
import sys

import pytest

import convae_zoo as zoo
from benchmarks import cold_start
from benchmarks.by_hand import MODELS


@pytest.mark.parametrize("name", cold_start.LOADED)
def test_the_models_by_hand_hold_the_same_weights(name):
    mine, theirs = zoo.load_model(name).state_dict(), MODELS[name.partition(".")[0]]().state_dict()
    assert {k: v.shape for k, v in mine.items()} == {k: v.shape for k, v in theirs.items()}


def test_loading_by_hand_imports_torch_and_safetensors_alone():
    _, (python, c, script) = cold_start.loaders("convae-200.photos").values()
    script += "; import sys; print({'convae_zoo', 'torch._dynamo', 'PIL'} & set(sys.modules))"
    done = subprocess.run([python, c, script], cwd=cold_start.ROOT, capture_output=True, check=True)
    assert done.stdout.strip() == b"set()"


def test_each_round_runs_one_process_of_each_command():
    times = cold_start.measure({"bare": (sys.executable, "-c", "pass")}, 2)["bare"]
    assert len(times.wall) == 2
    assert 0 < cold_start.summary(times)["min"] <= cold_start.summary(times)["median"]
    assert cold_start.ratios(times, times) == {"median": 1, "min": 1, "cpu_median": 1}

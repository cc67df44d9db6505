"""Runs in separate processes: killed, interrupted, or on a full disk."""

import json
import os
import random
import resource
import signal
import time

import pytest
from PIL import Image

import convae_zoo as zoo
from tiny_runs import comparable, losses_of, start_child, start_command, tiny_train

KILLS = int(os.environ.get("CONVAE_ZOO_TEST_KILLS", "3"))
SETTINGS = {
    "epochs": 4,
    "shuffle": True,
    "checkpoint_every": 4,
    "corruption": "gaussian(sigma=5:55)",
}


def ended(child):
    child.join(300)
    return child.exitcode


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer",
    [{"optimizer": "adam"}, {"optimizer": "muon", "learning_rate": 0.02, "schedule": "linear"}],
    ids=["adam", "muon"],
)
def test_a_run_killed_repeatedly_ends_like_an_undisturbed_one(tmp_path, optimizer):
    """SIGKILL at random moments: weights, history and pictures come out the same."""
    chance = random.Random(0)
    result = tmp_path / "losses.json"
    settings = {**SETTINGS, **optimizer}
    whole = {**settings, "out": str(tmp_path / "whole")}
    assert ended(start_child(whole, result=result)) == 0  # the first child is slow to start
    expected = result.read_text()
    began = time.monotonic()
    assert ended(start_child({**whole, "out": str(tmp_path / "timing")})) == 0
    usual = time.monotonic() - began
    killed = {**settings, "out": str(tmp_path / "killed"), "resume": True}
    for _ in range(KILLS):
        child = start_child(killed)
        child.join(chance.uniform(0.1, 1.0) * usual)
        child.kill()
        child.join()
    assert ended(start_child(killed, result=result)) == 0
    assert result.read_text() == expected
    assert comparable(tmp_path / "killed") == comparable(tmp_path / "whole")
    assert list((tmp_path / "killed").rglob(".tmp-*")) == []


def test_a_full_disk_during_a_checkpoint_loses_nothing(tmp_path):
    """The file size limit is below a checkpoint's size: one line, and the run can be resumed."""
    whole = tiny_train(**SETTINGS)
    tiny_train(**{**SETTINGS, "epochs": 2}, out=tmp_path / "run")
    settings = {**SETTINGS, "out": tmp_path / "run", "resume": True}
    checkpoint = next((tmp_path / "run" / "checkpoints").iterdir())
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (checkpoint.stat().st_size - 1, limits[1]))
    try:
        with pytest.raises(zoo.ZooError, match="File too large") as caught:
            tiny_train(**settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(caught.value)
    assert losses_of(tiny_train(**settings)) == losses_of(whole)


def test_sigterm_keeps_and_names_the_last_finished_epoch(tmp_path):
    """Stopped after its first epoch: one line, status 1, and the run can be resumed."""
    out, images = tmp_path / "run", tmp_path / "images"
    images.mkdir()
    for index in range(12):
        Image.new("RGB", (8, 8), (index * 20, 0, 0)).save(images / f"{index}.png")
    arguments = f"train convae-200 --dataset image-folder --data {images} --epochs 500 --out {out}"
    child = start_command([*arguments.split(), "--set", "image_size=8"], tmp_path / "said")
    while not (out / "pictures" / "epoch-002.png").exists():
        assert child.is_alive()
        time.sleep(0.05)
    child.terminate()
    assert ended(child) == 1
    done = json.loads((out / "run.json").read_text())
    kept = f"epoch {done['epochs_done']} is kept in {out / 'model.safetensors'}; --resume continues"
    said = (tmp_path / "said").read_text().splitlines()
    assert said[-1] == f"error: stopped by SIGTERM; {kept}"
    assert 1 <= done["epochs_done"] < 500
    assert done["state"] == "failed"
    zoo.load_model(out / "model.safetensors")

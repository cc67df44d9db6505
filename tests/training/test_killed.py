"""Runs in processes of their own: killed, interrupted, on a full disk."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

import convae_zoo as zoo
from tiny_runs import comparable, losses_of, start_child, tiny_train

KILLS = int(os.environ.get("CONVAE_ZOO_TEST_KILLS", "6"))
SETTINGS = {"epochs": 4, "shuffle": True, "checkpoint_every": 4}


def ended(child):
    child.join(300)
    return child.exitcode


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_as_an_undisturbed_one(tmp_path):
    """SIGKILL at random moments: weights, history and pictures come out the same."""
    chance = random.Random(0)
    result = tmp_path / "losses.json"
    whole = {**SETTINGS, "out": str(tmp_path / "whole")}
    assert ended(start_child(whole, result=result)) == 0  # the first child is slow to start
    expected = result.read_text()
    began = time.monotonic()
    assert ended(start_child({**whole, "out": str(tmp_path / "timing")})) == 0
    usual = time.monotonic() - began
    killed = {**SETTINGS, "out": str(tmp_path / "killed"), "resume": True}
    for _ in range(KILLS):
        child = start_child(killed)
        child.join(chance.uniform(0.1, 1.0) * usual)
        child.kill()
        child.join()
    assert ended(start_child(killed, result=result)) == 0
    assert result.read_text() == expected
    assert comparable(tmp_path / "killed") == comparable(tmp_path / "whole")
    assert list((tmp_path / "killed").rglob(".tmp-*")) == []


def test_a_full_disk_in_the_middle_of_a_checkpoint_loses_nothing(tmp_path):
    """Files may grow to less than a checkpoint: one line, and the run goes on later."""
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


@pytest.mark.parametrize(
    ("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "stopped by SIGTERM")]
)
def test_ctrl_c_and_sigterm_keep_the_last_finished_epoch_and_name_it(tmp_path, number, word):
    """A real process is stopped after its first epoch: one line, exit 1, and it can go on."""
    out = tmp_path / "run"
    (tmp_path / "images").mkdir()
    for index in range(12):
        Image.new("RGB", (8, 8), (index * 20, 0, 0)).save(tmp_path / "images" / f"{index}.png")
    arguments = f"--dataset image-folder --data {tmp_path / 'images'} --epochs 500"
    arguments += f" --set image_size=8 --set width=2 --out {out}"
    with subprocess.Popen(
        [sys.executable, "-m", "convae_zoo", "train", "convae-200", *arguments.split()],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("epoch 2/"):
                process.send_signal(number)
    done = json.loads((out / "run.json").read_text())
    kept = f"epoch {done['epochs_done']} is kept in {out / 'model.safetensors'}; --resume goes on"
    assert lines[-1] == f"error: {word}; {kept}\n"
    assert process.returncode == 1
    assert 2 <= done["epochs_done"] < 500
    assert done["state"] == ("interrupted" if number == signal.SIGINT else "failed")
    zoo.load_model(out / "model.safetensors")

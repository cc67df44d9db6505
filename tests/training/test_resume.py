"""Resume: a run that is killed at any moment goes on as if nothing had happened."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import convae_zoo as zoo
from convae_zoo.data import ImageSet
from convae_zoo.errors import TrainingError, UsageError
from convae_zoo.training.run_folder import RunFolder

DRIVER = Path(__file__).parent / "driver.py"
KILLS = int(os.environ.get("CONVAE_ZOO_TEST_KILLS", "6"))


def start(out, **settings):
    given = {"out": str(out), "epochs": 6, "shuffle": True, "checkpoint_every": 4, **settings}
    return subprocess.Popen(
        [sys.executable, str(DRIVER), json.dumps(given)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out)


def comparable(folder):
    """What must be equal: all but the time that it took."""
    history = [json.loads(line) for line in folder.history.read_text().splitlines()]
    for line in history:
        line.pop("seconds", None)
        line.pop("images_per_second", None)
    pictures = {p.name: p.read_bytes() for p in sorted(folder.pictures.iterdir())}
    return history, pictures


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_as_an_undisturbed_one(tmp_path):
    """SIGKILL at random moments: weights, history and pictures come out the same."""
    whole = finish(start(tmp_path / "whole"))
    chance = random.Random(0)
    began = time.monotonic()
    finish(start(tmp_path / "timing"))
    usual = time.monotonic() - began
    for _ in range(KILLS):
        process = start(tmp_path / "killed", resume=True)
        try:
            process.wait(chance.uniform(0.2, 1.1) * usual)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()
    ended = finish(start(tmp_path / "killed", resume=True))
    assert ended == whole
    expected, folder = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "killed")
    assert comparable(folder) == comparable(expected)
    for name in ("model.safetensors", "epoch-001.safetensors", "loss_curves.png"):
        assert (folder.path / name).read_bytes() == (expected.path / name).read_bytes(), name
    left = [p.name for p in folder.path.rglob(".tmp-*")]
    assert left == []


def images(count, split, seed):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator)
    return ImageSet(name="noise", split=split, images=pixels, labels=torch.arange(count) % 5)


class Killed(BaseException):
    """Stands for a kill at an exact step."""


def run(out, *, kill_at=None, monkeypatch=None, **settings):
    given = {"epochs": 3, "batch_size": 16, "shuffle": True, "checkpoint_every": 4} | settings
    if kill_at is not None:
        from convae_zoo.training.engine import Engine

        whole, taken = Engine.step, []

        def step(self, *args, **kwargs):
            taken.append(1)
            if len(taken) > kill_at:
                raise Killed
            return whole(self, *args, **kwargs)

        monkeypatch.setattr(Engine, "step", step)
    try:
        return zoo.train(
            given.pop("model", "convae-200"),
            dataset=given.pop("dataset", (images(100, "train", 0), images(30, "val", 1))),
            overrides={"width": 4, "latent_dim": 16, "image_size": 8} | given.pop("overrides", {}),
            device="cpu",
            out=out,
            **{"precision": "fp32", **given},
        )
    finally:
        if monkeypatch is not None:
            monkeypatch.undo()


@pytest.mark.parametrize("loss", ["mse", "mse + 0.01*adversarial"])
@pytest.mark.parametrize("kill_at", [0, 3, 5, 7, 9, 20])
def test_resuming_from_any_step_gives_the_losses_of_a_whole_run(
    tmp_path, monkeypatch, kill_at, loss
):
    """Seven steps an epoch and a checkpoint every four: before, on and after each of them.

    A loss with parameters of its own goes on with them, and with its optimiser.
    """
    whole = run(tmp_path / "whole", loss=loss)
    with pytest.raises(Killed):
        run(tmp_path / "run", kill_at=kill_at, monkeypatch=monkeypatch, loss=loss)
    resumed = run(tmp_path / "run", resume=True, loss=loss)
    assert resumed.train_losses == whole.train_losses
    assert resumed.val_losses == whole.val_losses
    for ours, theirs in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, monkeypatch, capsys):
    whole = run(tmp_path / "whole")
    with pytest.raises(Killed):
        run(tmp_path / "run", kill_at=13, monkeypatch=monkeypatch)
    checkpoints = sorted((tmp_path / "run" / "checkpoints").iterdir())
    assert [p.name for p in checkpoints] == [
        "step-00000007.safetensors",
        "step-00000011.safetensors",
    ]
    content = bytearray(checkpoints[-1].read_bytes())
    content[-9] ^= 1
    checkpoints[-1].write_bytes(content)
    resumed = run(tmp_path / "run", resume=True, progress=True)
    said = capsys.readouterr().err
    assert "step-00000011.safetensors is damaged (its content was altered)" in said
    assert "the one before it is used" in said
    assert "at epoch 2, step 0" in said
    assert resumed.train_losses == whole.train_losses


@pytest.mark.parametrize("keep", [0, 10, 1000])
def test_a_checkpoint_cut_short_is_passed_over(tmp_path, monkeypatch, keep):
    whole = run(tmp_path / "whole")
    with pytest.raises(Killed):
        run(tmp_path / "run", kill_at=13, monkeypatch=monkeypatch)
    newest = max((tmp_path / "run" / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:keep])
    assert run(tmp_path / "run", resume=True).train_losses == whole.train_losses


def test_the_last_two_checkpoints_are_kept(tmp_path):
    run(tmp_path / "run")
    names = sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == ["step-00000018.safetensors", "step-00000021.safetensors"]


@pytest.mark.parametrize(
    ("settings", "before", "now"),
    [
        ({"model": "convae-1000"}, "model convae-200", "convae-1000"),
        ({"overrides": {"latent_dim": 8}}, "model convae-200 (in_channels=3", "latent_dim=8"),
        ({"seed": 5}, "seed 0", "5"),
        ({"batch_size": 8}, "batch_size 16", "8"),
        ({"learning_rate": 0.1}, "learning_rate 0.001", "0.1"),
        ({"loss": "2*mse"}, "loss mse", "2*mse"),
        ({"precision": "bf16"}, "precision fp32", "bf16"),
        ({"dataset": (images(50, "train", 3), images(30, "val", 1))}, "dataset noise", "noise"),
    ],
)
def test_resuming_with_other_settings_is_refused_with_both_values(tmp_path, settings, before, now):
    run(tmp_path / "run", epochs=1)
    record = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(UsageError) as caught:
        run(tmp_path / "run", resume=True, epochs=2, **settings)
    assert f"the run was started with {before}" in str(caught.value)
    assert now in str(caught.value).split("is resumed with ")[1]
    assert (tmp_path / "run" / "run.json").read_bytes() == record


def test_a_finished_run_can_be_trained_longer(tmp_path):
    whole = run(tmp_path / "whole", epochs=3)
    run(tmp_path / "run", epochs=2)
    assert run(tmp_path / "run", epochs=3, resume=True).train_losses == whole.train_losses


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    first = run(tmp_path / "run")
    before = comparable(RunFolder(tmp_path / "run"))
    again = run(tmp_path / "run", resume=True)
    assert again.train_losses == first.train_losses
    assert comparable(RunFolder(tmp_path / "run")) == before


def test_resuming_where_no_run_is_starts_one(tmp_path):
    assert (
        run(tmp_path / "new", resume=True, epochs=1).val_losses
        == run(tmp_path / "other", epochs=1).val_losses
    )


def test_a_run_of_a_newer_version_is_refused(tmp_path):
    run(tmp_path / "run", epochs=1)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**record, "format_version": 99}))
    with pytest.raises(TrainingError, match="written by a newer convae_zoo; upgrade"):
        run(tmp_path / "run", resume=True)


@pytest.mark.slow
def test_a_second_process_in_the_same_folder_is_refused(tmp_path):
    first = start(tmp_path / "run", epochs=2000)
    while not (tmp_path / "run" / "run.json").exists():
        assert first.poll() is None
        time.sleep(0.05)
    second = start(tmp_path / "run", overwrite=True)
    _, said = second.communicate(timeout=120)
    first.kill()
    first.communicate()
    assert second.returncode == 2
    assert said.strip().splitlines()[-1] == (
        f"error: another process trains into {tmp_path / 'run'}; choose another --out"
    )


@pytest.mark.slow
def test_a_full_disk_in_the_middle_of_a_checkpoint_loses_nothing(tmp_path):
    """Files may grow to less than a checkpoint: one line, exit 1, and the run goes on later."""
    whole = finish(start(tmp_path / "whole"))
    assert finish(start(tmp_path / "run", epochs=2))
    limit = (
        "import resource, runpy, signal, sys;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        f"sys.argv = sys.argv[1:]; runpy.run_path({str(DRIVER)!r}, run_name='__main__')"
    )
    settings = {"out": str(tmp_path / "run"), "epochs": 6, "shuffle": True, "resume": True}
    failed = subprocess.run(
        [sys.executable, "-c", limit, "driver", json.dumps({**settings, "checkpoint_every": 4})],
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1, failed.stderr
    assert "File too large" in failed.stderr.strip().splitlines()[-1]
    assert "Traceback" not in failed.stderr
    assert finish(start(tmp_path / "run", resume=True)) == whole

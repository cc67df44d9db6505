"""Resuming: a run stopped at any step continues as if it had not been stopped."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import convae_zoo as zoo
from convae_zoo.errors import TrainingError, UsageError
from convae_zoo.runs.run_folder import RunFolder
from tiny_runs import TINY, Killed, comparable, image_set, killed_at, tiny_train

OLD_RUN = Path(__file__).parent / "data" / "run-before-ids"


def run(out, **settings):
    """Seven steps per epoch, a checkpoint every four."""
    return tiny_train(out=out, **({"epochs": 3, "shuffle": True, "checkpoint_every": 4} | settings))


def stopped_run(out, step, **settings):
    with killed_at(step), pytest.raises(Killed):
        run(out, **settings)


@pytest.mark.parametrize(
    "setting",
    [
        {"loss": "mse"},
        {"loss": "mse + 0.01*adversarial"},
        {"corruption": "mask + gaussian(sigma=5:55)"},
    ],
    ids=["mse", "adversarial", "corruption"],
)
@pytest.mark.parametrize("step", [0, 3, 5, 7, 9, 20])
def test_resuming_from_any_step_gives_the_losses_of_an_uninterrupted_run(tmp_path, step, setting):
    """Before, at and after each checkpoint; with a trainable loss or a corruption, too."""
    whole = tiny_train(epochs=3, shuffle=True, **setting)
    stopped_run(tmp_path / "run", step, **setting)
    resumed = run(tmp_path / "run", resume=True, **setting)
    assert resumed.train_losses == whole.train_losses
    assert resumed.val_losses == whole.val_losses
    for ours, theirs in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_resumed_run_keeps_its_loss_and_seed(tmp_path):
    """Stopped before the first checkpoint, so everything is rebuilt."""
    settings = {"loss": "l1", "seed": 7, "augment": "flip"}
    whole = tiny_train(epochs=3, shuffle=True, **settings)
    stopped_run(tmp_path / "run", 2, **settings)
    assert tiny_train(out=tmp_path / "run", resume=True).train_losses == whole.train_losses


def test_a_run_whose_precision_was_auto_resumes_with_the_same_arithmetic(tmp_path):
    whole = tiny_train(epochs=3, shuffle=True, precision="auto")
    stopped_run(tmp_path / "run", 9, precision="auto")
    resumed = run(tmp_path / "run", resume=True, precision="auto")
    assert resumed.train_losses == whole.train_losses


def test_a_damaged_checkpoint_is_skipped_for_the_previous_one(tmp_path, capsys):
    whole = tiny_train(epochs=3, shuffle=True)
    stopped_run(tmp_path / "run", 13)
    checkpoints = sorted((tmp_path / "run" / "checkpoints").iterdir())
    names = ["step-00000007.safetensors", "step-00000011.safetensors"]
    assert [p.name for p in checkpoints] == names
    content = checkpoints[-1].read_bytes()
    damages = [content[:keep] for keep in (0, 10, 1000)]
    damages.append(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    for damaged in damages:
        shutil.copytree(tmp_path / "run", tmp_path / "copy")
        (tmp_path / "copy" / "checkpoints" / names[1]).write_bytes(damaged)
        resumed = run(tmp_path / "copy", resume=True, progress=True)
        shutil.rmtree(tmp_path / "copy")
        said = capsys.readouterr().err
        assert "step-00000011.safetensors is damaged (" in said
        assert "the one before it is used" in said
        assert "at epoch 2, step 0" in said
        assert resumed.train_losses == whole.train_losses


def test_two_checkpoints_are_kept_during_a_run_and_one_afterwards(tmp_path):
    stopped_run(tmp_path / "run", 20)
    folder = tmp_path / "run" / "checkpoints"
    names = ["step-00000014.safetensors", "step-00000018.safetensors"]
    assert sorted(p.name for p in folder.iterdir()) == names
    run(tmp_path / "run", resume=True)
    assert [p.name for p in folder.iterdir()] == ["step-00000021.safetensors"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of one epoch, read-only."""
    path = tmp_path_factory.mktemp("finished") / "run"
    run(path, epochs=1)
    return path


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of a run of one epoch, to modify."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.mark.parametrize(
    ("settings", "before", "now"),
    [
        ({"model": "convae-1000"}, "model convae-200", "convae-1000"),
        ({"overrides": {"latent_dim": 4}}, "model convae-200 (in_channels=3", "latent_dim=4"),
        ({"seed": 5}, "seed 0", "5"),
        ({"batch_size": 8}, "batch_size 16", "8"),
        ({"learning_rate": 0.1}, "learning_rate 0.001", "0.1"),
        ({"loss": "2*mse"}, "loss mse", "2*mse"),
        ({"precision": "bf16"}, "precision fp32", "bf16"),
        ({"dataset": (image_set(50), image_set(30, "val", 1))}, "dataset noise", "noise"),
        ({"dataset": (image_set(), image_set(30, "val", 2))}, "validation set noise", "noise"),
        ({"model": zoo.create_model("convae-200", **TINY)}, "weights drawn", "of a model in"),
    ],
)
def test_resuming_with_other_settings_is_refused_with_both_values(finished, settings, before, now):
    record = (finished / "run.json").read_bytes()
    with pytest.raises(UsageError) as caught:
        run(finished, resume=True, epochs=2, **settings)
    assert f"the run was started with {before}" in str(caught.value)
    assert now in str(caught.value).split("is resumed with ")[1]
    assert (finished / "run.json").read_bytes() == record


def test_resuming_with_fewer_epochs_than_trained_is_refused(tmp_path):
    stopped_run(tmp_path / "run", 19)  # in the third epoch
    record = (tmp_path / "run" / "run.json").read_bytes()
    for epochs, message in ((1, "has trained 2 epochs, and 1 are"), (2, "is in epoch 3, and 2")):
        with pytest.raises(UsageError, match=f"the run {message}"):
            run(tmp_path / "run", resume=True, epochs=epochs)
    assert (tmp_path / "run" / "run.json").read_bytes() == record


def test_a_finished_run_can_be_trained_longer(copy):
    whole = tiny_train(epochs=3, shuffle=True)
    assert run(copy, epochs=3, resume=True).train_losses == whole.train_losses


def test_resuming_a_finished_run_changes_nothing(copy):
    before = comparable(copy)
    run(copy, epochs=1, resume=True)
    assert comparable(copy) == before


def test_resuming_in_an_empty_folder_starts_a_run(tmp_path):
    expected = tiny_train(epochs=1, shuffle=True).val_losses
    assert run(tmp_path / "new", resume=True, epochs=1).val_losses == expected


@pytest.mark.parametrize("compiled", [False, True])
def test_a_run_of_an_older_release_is_resumed_extended_and_evaluated(tmp_path, compiled):
    """Written by the release before runs had ids; stopped after step 5 of 9."""

    def images(count, start):
        values = torch.arange(start, start + count * 3 * 8 * 8) * 2654435761 // 65536 % 256
        pixels = values.to(torch.uint8).reshape(count, 3, 8, 8)
        return zoo.ImageSet(name="hashed", split="train", images=pixels)

    path = Path(shutil.copytree(OLD_RUN, tmp_path / "run"))
    if compiled:  # such a run could not be resumed by a plain model
        checkpoints = RunFolder(path).checkpoints
        state, _ = checkpoints.read_latest()
        state["model"] = {f"_orig_mod.{name}": value for name, value in state["model"].items()}
        checkpoints.write(state["steps"], state)
    assert zoo.evaluate(zoo.load_model(path), images(6, 9999), baseline=False).model.mse > 0
    settings = {"dataset": (images(20, 0), images(6, 9999)), "out": path, "resume": True}
    settings["overrides"] = {"width": 1, "latent_dim": 4}
    resumed = tiny_train(batch_size=8, **settings)
    # The losses of that release without a stop.
    train = [0.34367, 0.34232, 0.33911, 0.33981, 0.33889, 0.33658, 0.33766, 0.33690, 0.33527]
    assert resumed.train_losses == pytest.approx(train, abs=2e-5)
    assert resumed.val_losses == pytest.approx([0.33901, 0.33711, 0.33661], abs=2e-5)
    record = RunFolder(path).read()
    assert (record.state, record.epochs_done, record.id) == ("finished", 3, "")
    assert len(tiny_train(batch_size=8, epochs=4, **settings).val_losses) == 4


def test_compiled_and_plain_models_resume_each_others_runs(tmp_path):
    def model(*, compiled):
        torch.manual_seed(0)
        model = zoo.create_model("convae-200", **TINY)
        if compiled:
            model.encoder = torch.compile(model.encoder, backend="eager")
        return model

    whole = tiny_train(model(compiled=False), epochs=3, shuffle=True).train_losses
    for compiled in (True, False):
        out = tmp_path / f"{compiled}"
        with killed_at(9), pytest.raises(Killed):
            run(out, model=torch.compile(model(compiled=compiled), backend="eager"))
        resumed = run(out, model=model(compiled=not compiled), resume=True)
        assert resumed.train_losses == pytest.approx(whole, rel=1e-4)


def test_a_checkpoint_of_another_run_is_refused(copy, tmp_path):
    other = tmp_path / "other"
    run(other, epochs=1)
    shutil.rmtree(copy / "checkpoints")
    shutil.copytree(other / "checkpoints", copy / "checkpoints")
    record = (copy / "run.json").read_bytes()
    with pytest.raises(TrainingError, match=r"is not of the run that run.json describes"):
        run(copy, resume=True, epochs=2)
    assert (copy / "run.json").read_bytes() == record


@pytest.mark.parametrize("name", ["step", "epoch", "seconds"])
@pytest.mark.parametrize("value", [-1, "two", 1e9, None, 0.5])
def test_a_checkpoint_at_an_impossible_position_is_refused(copy, name, value):
    checkpoints = RunFolder(copy).checkpoints
    state, _ = checkpoints.read_latest()
    state["position"][name] = value
    checkpoints.write(state["steps"], state)
    if name == "seconds" and value in {1e9, 0.5}:
        run(copy, resume=True, epochs=2)
        return
    with pytest.raises(TrainingError, match="the checkpoint does not fit this run") as caught:
        run(copy, resume=True, epochs=2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["model", "engine", "random", "position", "steps"])
def test_an_incomplete_checkpoint_is_refused(copy, part):
    checkpoints = RunFolder(copy).checkpoints
    state, _ = checkpoints.read_latest()
    steps = state["steps"]
    del state[part]
    checkpoints.write(steps, state)
    with pytest.raises(TrainingError, match="the checkpoint does not fit this run") as caught:
        run(copy, resume=True, epochs=2)
    assert "\n" not in str(caught.value)


def test_a_history_with_altered_losses_is_refused(copy):
    history = RunFolder(copy).history
    lines = [json.loads(line) for line in history.read_text().splitlines()]
    lines[2]["loss"] /= 2
    history.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(TrainingError, match=r"history.jsonl was altered: its figures are not"):
        run(copy, resume=True, epochs=2)

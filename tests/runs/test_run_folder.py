"""The run folder: its contents, its owner, and errors for damaged ones."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path

import attrs
import pytest
import torch

import convae_zoo as zoo
from convae_zoo.errors import TrainingError, UsageError
from convae_zoo.runs.history import read_history
from convae_zoo.runs.record import RunRecord
from convae_zoo.runs.run_folder import RunFolder, check_run_folder, open_run_folder
from tiny_runs import image_set, tiny_train


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A run of two epochs, read-only."""
    return tiny_train(epochs=2, out=tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture
def copy(result, tmp_path):
    """A copy of a run of two epochs, to modify."""
    return Path(shutil.copytree(result.run_dir, tmp_path / "run"))


def test_a_run_folder_holds_everything_to_inspect_and_repeat_a_run(result):
    folder = RunFolder(result.run_dir)
    record = folder.read()
    assert (record.state, record.epochs_done) == ("finished", 2)
    assert record.dataset["fingerprint"] == image_set().fingerprint
    assert record.versions["torch"] == version("torch")
    assert record.model["encoder"]["config"]["latent_dim"] == 8
    assert record.started_from is None
    for path in (folder.picture(1), folder.picture(2), folder.curves):
        assert path.read_bytes().startswith(b"\x89PNG")
    history = read_history(folder.history)
    assert history.steps == result.train_losses
    assert history.epochs == result.epochs
    assert [e.val_loss for e in history.epochs] == result.val_losses
    loaded, first = zoo.load_model(folder.path), zoo.load_model(folder.first_epoch)
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(loaded(x), result.model(x))
    assert not torch.equal(first(x), loaded(x))


def test_a_folder_with_a_run_is_refused_without_resume_or_overwrite(copy):
    before = (copy / "model.safetensors").read_bytes()
    with pytest.raises(UsageError, match="holds another run; choose another"):
        tiny_train(out=copy, epochs=1, seed=4)
    assert (copy / "model.safetensors").read_bytes() == before
    (copy / "notes.txt").write_text("mine")
    (copy / "pictures" / "epoch-mine.png").write_text("mine")
    tiny_train(out=copy, epochs=1, seed=4, overwrite=True)
    assert (copy / "model.safetensors").read_bytes() != before
    assert (copy / "notes.txt").read_text() == "mine"
    assert (copy / "pictures" / "epoch-mine.png").read_text() == "mine"
    assert not (copy / "pictures" / "epoch-002.png").exists()


def test_a_folder_with_the_users_pictures_is_refused_and_they_are_kept(tmp_path):
    mine = tmp_path / "pictures" / "epoch-mine.png"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        tiny_train(out=tmp_path, epochs=1)
    assert mine.read_text() == "mine"


def test_an_empty_folder_and_leftovers_of_a_failed_start_are_accepted(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / ".lock").write_text("")
    assert tiny_train(out=tmp_path, epochs=1).run_dir == tmp_path


def test_leftovers_of_a_start_killed_at_its_first_write_are_not_the_users(tmp_path):
    (tmp_path / "run" / "pictures").mkdir(parents=True)
    (tmp_path / "run" / ".tmp-0123456789abcdef.json").write_text("{")
    assert tiny_train(epochs=1, out=tmp_path / "run").val_losses
    assert list((tmp_path / "run").rglob(".tmp-*")) == []


def test_a_run_that_another_process_finished_meanwhile_is_not_erased(copy, tmp_path):
    """Checked while the folder was empty, opened after another run finished."""
    assert check_run_folder(tmp_path / "new", overwrite=False, resume=False) is None
    shutil.copytree(copy, tmp_path / "new")
    with (
        pytest.raises(UsageError, match="holds another run"),
        open_run_folder(tmp_path / "new"),
    ):
        pytest.fail("it was opened")
    record = check_run_folder(copy, overwrite=False, resume=True)
    RunFolder(copy).write(attrs.evolve(record, epochs_done=1))
    with (
        pytest.raises(UsageError, match=r"another process has trained into .* meanwhile"),
        open_run_folder(copy, resumed=record),
    ):
        pytest.fail("it was opened")
    assert (copy / "model.safetensors").exists()


def test_a_second_process_in_the_same_folder_is_refused(copy):
    with open_run_folder(copy, overwrite=True):  # locks within one process, too
        message = f"{copy} is being written by process .*; wait until it ends, or choose another"
        with pytest.raises(UsageError, match=message):
            tiny_train(out=copy, epochs=1, overwrite=True)


def edited(change):
    """Return a change of run.json's document as one of its text."""

    def edit(text):
        document = json.loads(text)
        change(document)
        return json.dumps(document)

    return edit


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda text: text[: len(text) // 2],
        lambda _: "[]",
        lambda _: '"run"',
        lambda _: "[" * 100_000,
        lambda _: "\udcff",
        edited(lambda d: d.pop("recipe")),
        edited(lambda d: d.pop("model")),
        edited(lambda d: d.pop("digest")),
        edited(lambda d: d.update(format_version="one")),
        edited(lambda d: d.update(recipe=[1])),
        edited(lambda d: d["recipe"].update(epochs="three")),
        edited(lambda d: d["recipe"].update(speed=3)),
        edited(lambda d: d.update(dataset=None)),
        edited(lambda d: d["dataset"].update(fingerprint=3)),
        edited(lambda d: d.update(model={"encoder": 3})),
        edited(lambda d: d.update(epochs_done=-1)),
        edited(lambda d: d.update(epochs_done="two")),
        edited(lambda d: d.update(precision="fp7")),
        edited(lambda d: d.update(state=None)),
        edited(lambda d: d.update(started_from=["x"])),
    ],
)
def test_a_damaged_record_is_reported_in_one_line(copy, damage):
    text = damage((copy / "run.json").read_text())
    (copy / "run.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(TrainingError, match=r"run.json is damaged \(.*start again with") as caught:
        tiny_train(out=copy, epochs=3, resume=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "edit",
    [
        edited(lambda d: d["recipe"].update(seed=5)),
        edited(lambda d: d["recipe"].update(batch_size=5)),
        edited(lambda d: d["recipe"].update(loss="l1")),
        edited(lambda d: d["recipe"].update(precision="auto")),
        edited(lambda d: d["model"]["encoder"]["config"].update(latent_dim=4)),
        edited(lambda d: d["dataset"].update(val_fingerprint="0")),
        edited(lambda d: d.update(id="0")),
    ],
)
def test_an_edited_record_is_refused(copy, edit):
    (copy / "run.json").write_text(edit((copy / "run.json").read_text()))
    with pytest.raises(TrainingError, match=r"run.json was edited: its settings are not those"):
        tiny_train(out=copy, epochs=3, resume=True)


def test_a_record_edited_with_its_digest_does_not_match_the_checkpoint(copy):
    folder = RunFolder(copy)
    record = folder.read()
    for changed in (
        attrs.evolve(record, recipe=attrs.evolve(record.recipe, seed=5)),
        attrs.evolve(record, id=""),
    ):
        folder.write(changed)
        with pytest.raises(TrainingError, match=r"not of the run that run\.json describes"):
            tiny_train(out=copy, epochs=3, resume=True)


def test_a_run_of_a_newer_version_is_refused(copy):
    edit = edited(lambda d: d.update(format_version=99))
    (copy / "run.json").write_text(edit((copy / "run.json").read_text()))
    with pytest.raises(TrainingError, match="written by a newer convae_zoo; upgrade"):
        tiny_train(out=copy, resume=True)


def test_the_digest_ignores_changeable_fields_and_default_settings(copy):
    record = RunFolder(copy).read()
    longer = attrs.evolve(record, recipe=attrs.evolve(record.recipe, epochs=9), epochs_done=9)
    assert longer.digest == record.digest
    assert attrs.evolve(record, precision="bf16").digest != record.digest
    document = json.loads(record.to_json())
    assert set(document) == {f.name for f in attrs.fields(RunRecord)} | {"format_version", "digest"}


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[]",
        b"3",
        b"\xff\xfe",
        b'{"kind": "step"}',
        b'{"kind": "step", "epoch": 1, "step": 9, "loss": 0.5}',
        b'{"kind": "step", "epoch": 1, "step": 3, "loss": "low"}',
        b'{"kind": "other"}',
        b'{"kind": "epoch", "epoch": 1}',
        b'{"kind": "epoch", "epoch": "1", "train_loss": 1, "val_loss": 1, "seconds": 1}',
    ],
)
def test_a_damaged_history_is_reported_in_one_line(copy, line):
    lines = (copy / "history.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "history.jsonl").write_bytes(b"".join([*lines[:2], line + b"\n", *lines[3:]]))
    with pytest.raises(TrainingError, match=r"history.jsonl line 3 is not a line of a") as caught:
        tiny_train(out=copy, epochs=3, resume=True)
    assert "\n" not in str(caught.value)


def test_the_error_for_an_incomplete_history_says_what_is_missing(copy):
    lines = (copy / "history.jsonl").read_text().splitlines(keepends=True)
    (copy / "history.jsonl").write_text("".join(lines[:-1]))
    message = "ends after 1 epochs and 14 steps, but the checkpoint was written after 2 epochs and"
    with pytest.raises(TrainingError, match=message):
        tiny_train(out=copy, epochs=3, resume=True)
    (copy / "history.jsonl").unlink()
    with pytest.raises(TrainingError, match=r"cannot read .*history.jsonl: No such file"):
        tiny_train(out=copy, epochs=3, resume=True)


def test_a_truncated_last_line_is_ignored(copy):
    path = copy / "history.jsonl"
    expected = read_history(path)
    with path.open("a") as file:
        file.write('{"kind": "step", "epoch": 3, "st')
    found = read_history(path)
    assert (found.steps, found.epochs) == (expected.steps, expected.epochs)

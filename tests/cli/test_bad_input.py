"""What a user may get wrong in training and loading: one line, a status, nothing half-written."""

import os

import pytest
import torch

import convae_zoo as zoo

SMALL = ("--set", "image_size=16", "--set", "width=2", "--set", "latent_dim=6", "--device", "cpu")


def line_of(done, status):
    """The one line of an error, without its beginning; nothing is on stdout."""
    code, out, err = done
    assert (code, out) == (status, ""), err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err.removeprefix("error: ").rstrip()


@pytest.mark.usefixtures("waves_dataset")
@pytest.mark.parametrize(
    ("args", "status", "line"),
    [
        (("convae-20",), 2, "unknown model 'convae-20'; did you mean 'convae-200' or"),
        (("convae-200", "--loss", "mae"), 2, "unknown loss 'mae'"),
        (("convae-200", "--nope"), 2, "No such option '--nope'; see 'convae-zoo train --help'"),
        (("convae-200", "--set", "with=8"), 2, "unknown override of model 'convae-200': 'with'"),
        (("convae-200", "--set", "latent_dim=0"), 2, "latent_dim must be a whole number of at"),
        (("convae-200", "--set", "image_size=30"), 2, "that is divisible by 4, got 30"),
        (("convae-200", "--set", "width=wide"), 2, "width must be a whole number of at least 1"),
        (("convae-200", "--epochs", "0"), 2, "epochs must be a whole number of at least 1, got 0"),
        (
            ("residual-spatial+convae",),
            2,
            "returns a latent of shape 3×8×8 but decoder 'convae' expects 200; give both the same",
        ),
    ],
)
def test_a_wrong_call_of_train_writes_nothing(run, tmp_path, args, status, line):
    out = tmp_path / "run"
    assert line in line_of(run("train", *args, "--dataset", "waves", "--out", out), status)
    assert not out.exists()


def test_an_unknown_dataset_suggests_the_nearest(run, tmp_path):
    done = run("train", "convae-200", "--dataset", "photo", "--out", tmp_path / "run")
    assert line_of(done, 2) == "unknown dataset 'photo'; did you mean 'photos'?"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (None, "does not exist"),
        ({}, "holds no images"),
        ({"note.txt": b"text"}, "holds no images"),
        ({"a.png": b"text", "b.png": b"text"}, "can be read"),
    ],
)
def test_a_folder_without_images_is_reported(run, tmp_path, files, words):
    data, out = tmp_path / "data", tmp_path / "run"
    if files is not None:
        data.mkdir()
        for name, content in files.items():
            (data / name).write_bytes(content)
    done = run("train", "convae-200", "--dataset", "image-folder", "--data", data, "--out", out)
    line = line_of(done, 1)
    assert words in line
    assert str(data) in line
    assert not out.exists()


@pytest.mark.usefixtures("waves_dataset")
def test_another_run_in_the_folder_is_kept_unless_overwrite_is_given(run, tmp_path):
    call = ("train", "convae-200", "--dataset", "waves", *SMALL, "--epochs", "1")
    assert run(*call, "--out", tmp_path / "run")[0] == 0
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    line = line_of(run(*call, "--out", tmp_path / "run"), 2)
    assert "holds another run" in line
    assert "--overwrite" in line
    assert before == {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert run(*call, "--out", tmp_path / "run", "--overwrite")[0] == 0


@pytest.mark.usefixtures("waves_dataset")
def test_an_output_that_cannot_be_created_is_reported(run, tmp_path):
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "run"
    line = line_of(run("train", "convae-200", "--dataset", "waves", *SMALL, "--out", out), 1)
    assert line == f"cannot write {out}: Not a directory"


@pytest.mark.usefixtures("waves_dataset")
def test_a_loss_that_diverges_stops_the_run_at_its_step_with_a_hint_of_the_rate(run, tmp_path):
    fast = ("--optimizer", "sgd", "--learning-rate", "1000", "--out", tmp_path / "run")
    status, _, err = run("train", "convae-200", "--dataset", "waves", *SMALL, *fast)
    assert status == 1
    assert "loss became " in err
    assert " at step " in err
    assert "try a tenth of it, --learning-rate 1e+02, or another loss" in err
    if (tmp_path / "run" / "model.safetensors").exists():  # of an epoch that was finished
        assert " is kept in " in err
        zoo.load_model(tmp_path / "run")


@pytest.mark.parametrize(
    "spoil",
    [lambda data: data[: len(data) // 2], lambda _: os.urandom(4096), lambda _: b""],
    ids=["cut", "random", "empty"],
)
@pytest.mark.parametrize("command", ["evaluate", "reconstruct"])
def test_a_spoiled_weights_file_is_one_line(run, trained, tmp_path, command, spoil):
    file = trained()
    file.write_bytes(spoil(file.read_bytes()))
    rest = ("--dataset", "photos") if command == "evaluate" else (file,)
    out = () if command == "evaluate" else ("--out", tmp_path / "grid.png")
    line = line_of(run(command, file, *rest, *out), 1)
    assert str(file) in line
    assert not (tmp_path / "grid.png").exists()


def test_non_finite_weights_are_not_saved(trained, tmp_path):
    file = trained()
    model = zoo.load_model(file)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(zoo.ZooError, match="NaN"):
        zoo.save_model(model, tmp_path / "nan.safetensors")
    assert not (tmp_path / "nan.safetensors").exists()

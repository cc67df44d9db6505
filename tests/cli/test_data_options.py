"""The dataset options of every command that has them: name, folder, config values."""

import json

import pytest
from PIL import Image

from convae_zoo.cli.options import read_settings
from convae_zoo.errors import UsageError


@pytest.fixture
def folder(tmp_path):
    """A folder of twenty images of 16×16 pixels."""
    images = tmp_path / "images"
    images.mkdir()
    for index in range(20):
        Image.new("RGB", (16, 16), (index * 12, 0, 90)).save(images / f"{index:02}.png")
    return images


def _validation_images(run, *args):
    status, out, err = run("evaluate", *args, "--no-baseline", "--device", "cpu", "--json")
    assert (status, err) == (0, "")
    return json.loads(out)["images"]


def test_a_dataset_s_fields_are_set_in_its_name_or_by_an_option(run, trained, folder):
    model = trained()
    found = [
        _validation_images(run, model, "--data", folder, "--dataset", "image-folder", *more)
        for more in ((), ("--data-set", "val_fraction=0.5"), ("--data-set", "val-fraction=0.5"))
    ]
    named = "image-folder(val_fraction=0.5)"
    assert _validation_images(run, model, "--data", folder, "--dataset", named) == found[1]
    assert found[0] < found[1] == found[2]
    quoted = f"image-folder(val_fraction=0.5, path='{folder}')"
    assert _validation_images(run, model, "--dataset", quoted) == found[1]


def test_train_compare_and_leaderboard_have_the_same_options(run, trained, folder, tmp_path):
    data = ("--dataset", "image-folder(val_fraction=0.5)", "--data", folder)
    data += ("--data-set", "image_size=8", "--device", "cpu")
    small = ("--set", "image_size=16", "--set", "width=2", "--set", "latent_dim=6")
    loss = ("--loss", "mse + 0.1*ssim(window=3)", "--epochs", "1")
    status, _, err = run("train", "convae-200", *small, *data, *loss, "--out", tmp_path / "run")
    assert status == 0, err
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["recipe"]["loss"] == "mse + 0.1*ssim(window=3)"
    split = (record["dataset"]["images"], record["dataset"]["val_images"])
    assert min(split) > 4
    named = "image-folder(image_size=8, val_fraction=0.5)"
    assert record["dataset"]["expression"] == named
    other = ("--dataset", "image-folder", "--data", folder, "--data-set", "image_size=8")
    status, _, err = run(
        "train", "convae-200", *small, *other, "--resume", "--out", tmp_path / "run"
    )
    assert status == 2
    assert f"started with dataset {named} (" in err
    assert "resumed with image-folder(image_size=8) (" in err
    assert sum(split) == 20

    status, _, err = run("compare", tmp_path / "run", *data, "--out", tmp_path / "a.png")
    assert status == 0, err
    status, out, err = run("leaderboard", trained(), *data, "--json")
    assert status == 0, err
    assert json.loads(out)["images"] == record["dataset"]["val_images"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ["--dataset", "image-folder", "--data-set", "val_fractoin=1"],
            "unknown field of dataset 'image-folder': 'val_fractoin'; did you mean 'val_fraction'?",
        ),
        (
            ["--dataset", "image-folder(val_fraction=2)"],
            "a number from 0 to 1, got 2 (character 14 of 'image-folder(val_fraction=2",
        ),
        (
            ["--dataset", "image-folder(val_fraction=0.5)", "--data-set", "val_fraction=0.5"],
            "field 'val_fraction' of dataset 'image-folder' is given twice",
        ),
        (["--dataset", "image-folder", "--data-set", "0.5"], "--data-set takes FIELD=VALUE, got"),
        (["--dataset", "image-folder("], "dataset cannot be read at character 13 of"),
        (["--dataset", "photos + photos"], "must be one entry, without a sum or a weight"),
        (
            ["--dataset", "image-folder(path='x')"],
            "path of 'image-folder' is already set to",
        ),
    ],
)
def test_a_wrong_name_or_field_is_one_line(run, trained, folder, options, line):
    status, out, err = run("evaluate", trained(), *options, "--data", folder)
    assert (status, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1


def test_a_value_is_json_or_a_string_and_the_last_one_counts():
    given = ("a-b=1.5", "c=[1, null]", "d=relu", "e=", "f=x=y", "d=true")
    assert read_settings(given) == {"a_b": 1.5, "c": [1, None], "d": True, "e": "", "f": "x=y"}


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000])
def test_a_huge_value_is_refused(value):
    with pytest.raises(UsageError, match=r"^--set x: the value is too long$"):
        read_settings((f"x={value}",))

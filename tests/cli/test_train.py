"""``convae-zoo train``: options that are the recipe's fields, devices, what it starts from."""

import attrs
import pytest

from convae_zoo.cli.train import command
from convae_zoo.registry import fields
from convae_zoo.registry.specs import Recipe
from convae_zoo.runs.run_folder import RunFolder

SMALL = ("--set", "width=2", "--set", "latent_dim=8", "--set", "image_size=16")


def test_each_field_of_a_recipe_is_an_option_with_the_field_s_help():
    options = {option.name: option for option in command.params}
    for field in attrs.fields(Recipe):
        text, given = fields.help_of(field), options[field.name].help
        if field.type in {int, float}:
            assert given == f"{text.removesuffix('.')}; {fields.accepted(field)}."
        else:
            assert given == text != ""
        assert options[field.name].default is None  # the model's recipe decides


@pytest.mark.usefixtures("waves_dataset")
def test_options_change_the_recipe(run, tmp_path):
    call = ("train", "convae-200", "--dataset", "waves", *SMALL, "--out", tmp_path / "run")
    options = "--epochs 1 --batch-size 16 --learning-rate 0.01 --shuffle --augment flip --seed 3"
    status, out, err = run(*call, *options.split(), "--precision", "fp32")
    assert status == 0, err
    assert f"model     {tmp_path / 'run' / 'model.safetensors'}" in out
    assert "on 60 images of waves" in err
    expected = {"batch_size": 16, "learning_rate": 0.01, "augment": "flip", "precision": "fp32"}
    recipe = RunFolder(tmp_path / "run").read().recipe
    assert recipe == Recipe(epochs=1, shuffle=True, seed=3, **expected)


@pytest.mark.usefixtures("waves_dataset")
def test_a_run_can_start_from_the_weights_of_another_and_says_so(run, tmp_path):
    fast = ("--dataset", "waves", "--epochs", "1", "--precision", "fp32")
    assert run("train", "convae-200", *fast, *SMALL, "--out", tmp_path / "first")[0] == 0
    status, _, err = run("train", tmp_path / "first", *fast, "--out", tmp_path / "second")
    assert status == 0, err
    assert f"starting from the weights {tmp_path / 'first'}\n" in err
    again = ("train", tmp_path / "first", *fast, "--fresh", "--out", tmp_path / "third")
    status, _, err = run(*again)
    assert status == 0, err
    assert "starting from" not in err
    first, second, third = (
        (tmp_path / name / "history.jsonl").read_text().splitlines()[0]
        for name in ("first", "second", "third")
    )
    assert first == third != second


@pytest.mark.parametrize(
    ("device", "line"),
    [
        ("tpu", "error: unknown device 'tpu'; did you mean 'cpu'?"),
        ("cuda:x", "unknown device 'cuda:x'"),
        ("cpu:1", "unknown device 'cpu:1'"),
        ("cuda:99", "error: there is no device 'cuda:99': PyTorch finds "),
    ],
)
@pytest.mark.usefixtures("waves_dataset")
def test_a_device_is_checked_as_in_python(run, tmp_path, device, line):
    call = ("train", "convae-200", "--dataset", "waves", *SMALL, "--out", tmp_path / "run")
    status, out, err = run(*call, "--device", device)
    assert (status, out) == (2, "")
    assert line in err
    assert not (tmp_path / "run").exists()

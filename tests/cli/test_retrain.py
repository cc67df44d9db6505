import json

import pytest

from convae_zoo.cli import main


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["convae-200"], "retrain 'convae-200.photos' or 'convae-200.fashion-mnist'"),
        (["convae-200.photoz"], "did you mean 'photos'?"),
        (["convae-200.photos", "--resume"], "--resume needs --out"),
        (["residual-1000"], "'convae-zoo train residual-1000' trains it"),
    ],
)
def test_a_wrong_call_is_one_line(run, args, line):
    status, out, err = run("retrain", *args)
    assert (status, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_reported_before_training(run, tmp_path):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "weights"
    status, out, err = run("retrain", "convae-200.photos", "--store", folder)
    assert (status, out) == (1, "")
    assert "cannot write" in err


def test_every_declared_tag_is_listed_with_its_recipe(capsys):
    for model in ("convae-200", "convae-1000", "linear-residual-200"):
        for tag in ("photos", "fashion-mnist", "cifar10"):
            assert main(["show", f"{model}.{tag}", "--json"]) == 0
            (card,) = json.loads(capsys.readouterr().out)["entries"]
            assert card["dataset"] == tag
            assert card["recipe"]["loss"] == "mse"

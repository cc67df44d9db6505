import json

import numpy as np
import pytest
from PIL import Image

import convae_zoo as zoo
from convae_zoo import visuals
from convae_zoo.tasks.batches import reconstruct_batches

pytestmark = pytest.mark.usefixtures("waves_dataset")


@pytest.fixture
def finished_run(tmp_path):
    """A real run of two epochs, of a model with a latent of 6 floats."""
    zoo.train(
        "convae-200",
        dataset="waves",
        overrides={"latent_dim": 6, "width": 2, "image_size": 16},
        epochs=2,
        batch_size=16,
        learning_rate=1e-2,
        precision="fp32",
        device="cpu",
        out=tmp_path / "first",
        progress=False,
    )
    return tmp_path / "first"


def drawn(monkeypatch):
    """Record what is drawn; it is drawn all the same."""
    calls, draw = [], visuals.save_comparison

    def save(*args, **options):
        calls.append((args, options))
        draw(*args, **options)

    monkeypatch.setattr(visuals, "save_comparison", save)
    return calls


def test_a_run_has_rows_for_its_first_and_last_epoch_and_a_file_has_one_row(
    run, finished_run, trained, waves_dataset, tmp_path, monkeypatch
):
    calls, other, out = drawn(monkeypatch), trained("other.safetensors", latent_dim=9), "c.png"
    status, printed, err = run(
        "compare", finished_run, other, "--dataset", "waves", "--out", tmp_path / out
    )
    assert (status, printed, err) == (0, f"picture  {tmp_path / out}\n", "")
    [((_, originals, rows), options)] = calls
    assert [label for label, _ in rows] == [
        "first\nconvae-200, epoch 1 of mse\nbottleneck 6",
        "first\nconvae-200, epoch 2 of mse\nbottleneck 6",
        "other.safetensors\nconvae-200\nbottleneck 9",
    ]
    assert options["names"][:2] == ["calm", "rough"]
    assert originals[:2].equal(waves_dataset("val").images[:2])
    files = (finished_run / "epoch-001.safetensors", finished_run / "model.safetensors", other)
    for (_, images), file in zip(rows, files, strict=True):
        assert images.equal(reconstruct_batches(zoo.load_model(file), originals))
    assert not rows[0][1].equal(rows[1][1])


def test_last_leaves_out_the_first_epochs(run, finished_run, tmp_path, monkeypatch):
    calls = drawn(monkeypatch)
    args = ("compare", finished_run, "--dataset", "waves", "--last", "--out", tmp_path / "c.png")
    assert run(*args)[0] == 0
    [((_, _, rows), _)] = calls
    assert [label for label, _ in rows] == ["first\nconvae-200, epoch 2 of mse\nbottleneck 6"]


def test_the_picture_holds_the_originals(run, trained, waves_dataset, tmp_path):
    out = tmp_path / "new" / "compare.png"
    assert run("compare", trained(), "--dataset", "waves", "--out", out)[0] == 0
    with Image.open(out) as image:
        picture = np.asarray(image.convert("RGB"))
    original = waves_dataset("val").images[0].permute(1, 2, 0).numpy().repeat(8, 0).repeat(8, 1)
    starts = np.argwhere((picture == original[0, 0]).all(-1))
    assert any(np.array_equal(picture[y : y + 128, x : x + 128], original) for y, x in starts)


def test_equal_calls_give_equal_bytes(run, trained, tmp_path):
    weights, out = trained(), tmp_path / "compare.png"
    found = []
    for _ in range(2):
        run("compare", weights, "--dataset", "waves", "--out", out)
        found.append(out.read_bytes())
    assert found[0] == found[1]


def test_models_of_different_image_shape_are_refused(run, trained, tmp_path):
    out = tmp_path / "compare.png"
    models = (trained("a.safetensors"), trained("b.safetensors", in_channels=1, image_size=8))
    status, printed, err = run("compare", *models, "--dataset", "waves", "--out", out)
    assert (status, printed) == (2, "")
    assert "3×16×16" in err
    assert "1×8×8" in err
    assert err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("count", "chosen"), [(1, [0]), (2, [0, 1]), (6, [0, 1, 2, 9, 16, 23]), (99, range(30))]
)
def test_one_image_per_class_comes_first_then_evenly_spaced_ones(
    run, trained, tmp_path, monkeypatch, count, chosen, waves_dataset
):
    calls, out = drawn(monkeypatch), tmp_path / "compare.png"
    run("compare", trained(), "--dataset", "waves", "--images", count, "--out", out)
    [((_, originals, _), options)] = calls
    assert originals.equal(waves_dataset("val").images[list(chosen)])
    assert options["names"] == [("calm", "rough")[i % 2] for i in chosen]


def test_a_folder_without_a_run_is_one_line(run, tmp_path):
    (tmp_path / "empty").mkdir()
    args = ("compare", tmp_path / "empty", "--dataset", "waves", "--out", tmp_path / "c.png")
    status, out, err = run(*args)
    assert (status, out) == (1, "")
    assert "holds no run" in err
    assert err.count("\n") == 1


def test_a_run_without_a_finished_epoch_is_one_line(run, finished_run, tmp_path):
    (finished_run / "model.safetensors").unlink()
    (finished_run / "epoch-001.safetensors").unlink()
    args = ("compare", finished_run, "--dataset", "waves", "--out", tmp_path / "c.png")
    status, _, err = run(*args)
    assert status == 1
    assert "model.safetensors" in err
    assert err.count("\n") == 1


def test_only_png_is_written(run, trained, tmp_path):
    args = ("compare", trained(), "--dataset", "waves", "--out", tmp_path / "c.jpg")
    status, _, err = run(*args)
    assert status == 2
    assert "must end in .png" in err


def test_images_of_other_channels_are_refused(run, trained, tmp_path):
    weights = trained(in_channels=5)
    status, _, err = run("compare", weights, "--dataset", "waves", "--out", tmp_path / "c.png")
    assert status == 1
    assert "in_channels=3" in err
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize(
    "edited",
    [
        {},
        {"recipe": None},
        {"recipe": {"loss": 7}},
        {"recipe": {"loss": "mse"}, "epochs_done": "2"},
        {"recipe": {"loss": "mse"}, "epochs_done": True},
        {"recipe": ["loss"], "epochs_done": 2},
    ],
)
def test_a_run_whose_record_was_edited_is_one_line(run, trained, tmp_path, edited):
    (tmp_path / "r").mkdir()
    trained("r/model.safetensors")
    (tmp_path / "r" / "run.json").write_text(json.dumps({"format_version": 1, **edited}))
    status, out, err = run(
        "compare", tmp_path / "r", "--dataset", "waves", "--out", tmp_path / "a.png"
    )
    assert (status, out) == (1, "")
    assert err.startswith(f"error: {tmp_path / 'r' / 'run.json'} ")
    assert err.count("\n") == 1
    assert not (tmp_path / "a.png").exists()

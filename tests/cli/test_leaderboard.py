import json

import numpy as np
import pytest
from PIL import Image

import convae_zoo as zoo
from convae_zoo.evaluation import evaluate

pytestmark = pytest.mark.usefixtures("waves_dataset")


def board(run, *args):
    status, out, err = run("leaderboard", "--dataset", "waves", *args, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def test_models_are_sorted_by_mse_with_their_costs_and_their_ratio_to_pca(run, trained):
    files = [trained("a.safetensors"), trained("b.safetensors", seed=1, latent_dim=9)]
    found = board(run, *files)
    assert (found["dataset"], found["split"], found["images"]) == ("waves", "val", 30)
    assert [r["metrics"]["mse"] for r in found["rows"]] == sorted(
        r["metrics"]["mse"] for r in found["rows"]
    )
    assert {r["name"] for r in found["rows"]} == set(map(str, files))
    for row in found["rows"]:
        model = zoo.load_model(row["name"])
        alone = evaluate(model, "waves", device="cpu")
        assert row["latent_floats"] == alone.latent_floats
        assert row["parameters"] == sum(p.numel() for p in model.parameters())
        assert row["metrics"]["mse"] == pytest.approx(alone.model.mse, rel=1e-6)
        assert row["ratio_to_pca"] == pytest.approx(alone.ratio_to_pca, rel=1e-4)


def test_pca_improves_with_its_size(run, trained):
    found = board(run, trained())
    sizes = [p["latent_floats"] for p in found["pca"]]
    assert sizes == sorted(set(sizes))
    assert sizes[0] == 3
    assert sizes[-1] == 12
    assert 6 in sizes
    errors = [p["metrics"]["mse"] for p in found["pca"]]
    assert errors == sorted(errors, reverse=True)
    assert all(p["flops"] == 4 * 3 * 16 * 16 * p["latent_floats"] for p in found["pca"])


def test_the_table_and_the_picture_are_written(run, trained, tmp_path):
    out = tmp_path / "new" / "board.png"
    file = trained()
    status, printed, err = run("leaderboard", file, "--dataset", "waves", "--out", out)
    assert (status, err) == (0, "")
    lines = printed.splitlines()
    assert lines[0] == "waves, split val: 30 images"
    assert lines[1].split()[:3] == ["MODEL", "LATENT", "FLOATS"]
    assert lines[2].split()[:2] == [str(file), "6"]
    assert lines[-1] == f"picture  {out}"
    with Image.open(out) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape == (522, 1200, 3)
    blue = (pixels == (0x08, 0x51, 0x9C)).all(-1)
    assert blue[:, :600].any()
    assert blue[:, 600:].any()
    first = out.read_bytes()
    run("leaderboard", file, "--dataset", "waves", "--out", out)
    assert out.read_bytes() == first


def test_a_latent_too_large_for_pca_has_no_ratio(run, trained):
    (row,) = board(run, trained(latent_dim=100))["rows"]
    assert row["ratio_to_pca"] is None


def test_without_models_the_line_says_what_to_pass(run):
    status, out, err = run("leaderboard", "--dataset", "waves")
    assert (status, out) == (2, "")
    assert "pass weights files or run folders" in err
    assert err.count("\n") == 1


def test_models_of_different_image_shape_are_refused(run, trained):
    models = (trained("a.safetensors"), trained("b.safetensors", image_size=8))
    status, out, err = run("leaderboard", *models, "--dataset", "waves")
    assert (status, out) == (2, "")
    assert "3×16×16" in err
    assert "3×8×8" in err


def test_a_wrong_picture_path_is_refused_before_any_work(run, trained, tmp_path):
    args = ("--dataset", "waves", "--out", tmp_path / "board.jpg")
    status, out, err = run("leaderboard", trained(), *args)
    assert (status, out) == (2, "")
    assert "must end in .png" in err

"""The benchmark of the time to a loss: its arithmetic, its results file and its chart."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for index in range(24):
        Image.new("RGB", (32, 32), (10 * index, 90, 255 - 10 * index)).save(images / f"{index}.png")
    return images


def bench(*arguments):
    command = [sys.executable, "-m", "benchmarks.time_to_quality", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_both_loops_are_timed_from_the_start_of_their_process(folder, tmp_path):
    out = tmp_path / "time.json"
    options = ("--dataset", "image-folder", "--data", folder, "--seeds", 1, "--images", 16)
    done = bench(
        *options, "--article-epochs", 1, "--threshold", 0.5, "--set", "epochs=2", "--out", out
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    (article,), (zoo,) = results["runs"]["article"], results["runs"]["zoo"]
    assert article["seconds"] > article["curve_seconds"][-1] > 0, "ten epochs, of which one was run"
    assert zoo["seconds"] >= zoo["curve_seconds"][-1] > 0
    found = results["summary"]
    assert found["ratio"] == pytest.approx(article["seconds"] / zoo["seconds"])
    assert found["reached"] == (zoo["val_loss"] <= 0.5)
    assert results["article_epochs_run"] == 1
    assert results["zoo"] == "convae-200, recipe fast, epochs=2, 16 images"
    assert Image.open(out.with_suffix(".png")).size == (800, 480)


def test_fewer_epochs_of_the_article_need_a_threshold():
    done = bench("--article-epochs", 1)
    assert done.returncode == 2
    assert "the --threshold must be given" in done.stderr

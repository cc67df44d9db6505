"""A package that new-plugin wrote, with an entry of every kind: it works as it is."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from convae_zoo.scaffold.new_plugin import KINDS_WITH_TEMPLATE

pytestmark = pytest.mark.slow


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(20):
        pixels = draw.integers(0, 256, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def test_its_own_tests_pass(fresh_environment, sprout):
    done = fresh_environment.python("-m", "pytest", str(sprout), "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_verify_finds_all_its_entries(fresh_environment):
    """Its own tests check every property; here two of them."""
    quick = ("--property", "listing", "--property", "bad-config", "--examples", "2")
    results = fresh_environment.document("verify", "--plugin", "sprout", *quick)["results"]
    assert {(r["kind"], r["distribution"]) for r in results} == {
        (k, "sprout") for k in KINDS_WITH_TEMPLATE
    }
    assert {r["status"] for r in results} <= {"passed", "skipped"}


def test_the_command_in_its_readme_trains(fresh_environment, sprout, pictures, tmp_path):
    readme = (sprout / "README.md").read_text()
    (command,) = re.findall(r"^    convae-zoo (train .*) --epochs 1 --out", readme, re.MULTILINE)
    command = command.replace("photos", f"image-folder --data {pictures}")
    settings = ("--epochs", "1", "--batch-size", "8", "--device", "cpu")
    done = fresh_environment.zoo(*command.split(), *settings, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model.safetensors").exists()


SCORES = """
import convae_zoo as zoo, sys
print(zoo.AnomalyDetector.load("sprout.safetensors").score_samples(sys.argv[1:]).tolist())
"""


def test_its_score_is_fitted_run_saved_and_loaded(fresh_environment, pictures):
    """Without the plugin the detector's file is refused; the distribution to install is named."""
    model = ("convae-200", "--set", "width=2", "--set", "latent_dim=4", "--epochs", "1")
    kept = ("--alarm-rate", "0.2", "--device", "cpu", "--out", "sprout.safetensors")
    score = ("--score", "sprout(floor=0.01)")
    done = fresh_environment.zoo("detect", "fit", *model, "--data", str(pictures), *score, *kept)
    assert done.returncode == 0, done.stderr
    run = ("detect", "run", "sprout.safetensors", str(pictures))
    findings = fresh_environment.document(*run)["findings"]
    paths = [str(pictures / each["name"]) for each in findings]
    done = fresh_environment.python("-c", SCORES, *paths)
    assert [-score for score in json.loads(done.stdout)] == [each["score"] for each in findings]
    done = fresh_environment.zoo(*run, CONVAE_ZOO_DISABLED_PLUGINS="sprout")
    assert done.returncode == 1
    assert re.search(r"needs score 'sprout' of sprout .* pip install sprout\n$", done.stderr)

"""The distribution ``convae-backbones``, installed by pip beside the zoo."""

import json

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

MODELS = {
    "vgg16-25088",
    "vgg16-512",
    "resnet18-512",
    "convnext_tiny-512",
    "efficientnet_b0-512",
}


def test_it_adds_its_models(fresh_environment):
    models = fresh_environment.document("list", "models")["models"]
    assert {m["name"] for m in models if m["distribution"] == "convae-backbones"} == MODELS


def test_its_model_is_shown_with_its_shapes(fresh_environment):
    (entry,) = fresh_environment.document("show", "vgg16-25088")["entries"]
    assert (entry["plugin"], entry["version"]) == ("backbones", "0.1.0")
    assert entry["latent_shape"] == [25088]


def test_its_model_is_trained_by_the_command_and_loaded(fresh_environment, tmp_path):
    draw = np.random.default_rng(0)
    for number in range(10):
        pixels = draw.integers(0, 256, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number:02}.png")
    small = ("--set", "image_size=32", "--set", "width=4", "--set", "frozen=true")
    data = ("--dataset", "image-folder", "--data", str(tmp_path), "--device", "cpu")
    run = tmp_path / "run"
    settings = ("--epochs", "1", "--batch-size", "8", "--out", str(run))
    done = fresh_environment.zoo("train", "vgg16-25088", *small, *data, *settings)
    assert done.returncode == 0, done.stderr
    history = (run / "history.jsonl").read_text().splitlines()
    assert {json.loads(line)["kind"] for line in history} >= {"step", "epoch"}
    loaded = fresh_environment.code(
        f"import convae_zoo as zoo; model = zoo.load_model({str(run)!r})\n"
        "print(model.plan.encoder_config.frozen, type(model.encoder).__module__)"
    )
    assert loaded == "True convae_backbones.encoder\n"

"""The distribution ``convae-backbones``, installed by pip beside the zoo in a fresh environment."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).parents[2] / "plugins" / "convae_backbones"

EQUAL = """
import torch, convae_zoo as zoo
from torchvision.models import vgg16
torch.manual_seed(0)
features = vgg16(weights=None).features.eval()
model = zoo.create_model("vgg16-25088").eval()
model.encoder.features.load_state_dict(features.state_dict())
photograph = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
with torch.no_grad():
    expected = features((photograph / 255 - mean) / std).flatten(1)
    latent = model.encode(model.preprocess(photograph))
torch.testing.assert_close(latent, expected, rtol=1e-5, atol=1e-5)
print(tuple(latent.shape), type(model.encoder).__module__)
"""


@pytest.fixture(scope="module")
def environment(fresh_environment, tmp_path_factory):
    """The fresh environment with the distribution, from a copy of its source."""
    copy = tmp_path_factory.mktemp("source") / "convae_backbones"
    fresh_environment.install(shutil.copytree(SOURCE, copy))
    yield fresh_environment
    fresh_environment.pip("uninstall", "--yes", "convae-backbones")


def test_it_adds_its_models(environment):
    found = {
        m["name"]: m["distribution"]
        for m in environment.document("list", "models")["models"]
        if m["distribution"] != "convae-zoo"
    }
    assert found == dict.fromkeys(
        (
            "vgg16-25088",
            "vgg16-512",
            "resnet18-512",
            "convnext_tiny-512",
            "efficientnet_b0-512",
        ),
        "convae-backbones",
    )


def test_its_model_is_shown_with_its_shapes(environment):
    (entry,) = environment.document("show", "vgg16-25088")["entries"]
    assert (entry["plugin"], entry["version"]) == ("vgg16", "0.1.0")
    assert entry["latent_shape"] == [25088]


def test_encode_equals_torchvisions_features(environment):
    assert environment.code(EQUAL) == "(1, 25088) convae_backbones.encoder\n"


def test_its_model_is_trained_by_the_command(environment, tmp_path):
    draw = np.random.default_rng(0)
    for number in range(20):
        pixels = draw.integers(0, 256, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number:02}.png")
    small = ("--set", "image_size=32", "--set", "width=4", "--set", "frozen=true")
    data = ("--dataset", "image-folder", "--data", str(tmp_path), "--device", "cpu")
    run = tmp_path / "run"
    settings = ("--epochs", "1", "--batch-size", "8", "--out", str(run))
    done = environment.zoo("train", "vgg16-25088", *small, *data, *settings)
    assert done.returncode == 0, done.stderr
    history = (run / "history.jsonl").read_text().splitlines()
    assert {json.loads(line)["kind"] for line in history} >= {"step", "epoch"}
    loaded = environment.code(
        f"import convae_zoo as zoo; print(zoo.load_model({str(run)!r}).plan.encoder_config.frozen)"
    )
    assert loaded == "True\n"

"""Trained weights come from a file or from torch hub's cache; nothing is fetched unasked."""

import hashlib
from pathlib import Path

import pytest
import torch
from convae_backbones.backbone import feature_names, make_backbone
from convae_backbones.weights import load_weights
from safetensors.torch import load_file, save_file
from torchvision import models
from torchvision.models._api import Weights, WeightsEnum

from convae_zoo import create_model
from convae_zoo.errors import WeightsError

NAME = "efficientnet_b0"


def load(weights: object, *, name: str = NAME, download: bool = False) -> torch.nn.Module:
    features = make_backbone(name)
    load_weights(features, name, str(weights), download=download)
    return features


def same(features: torch.nn.Module, network: torch.nn.Module) -> bool:
    expected = feature_names(network.state_dict())
    return all(torch.equal(v, expected[k]) for k, v in features.state_dict().items())


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """Torch hub's cache in an empty folder; gives the folder of its files."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def published(trained, tmp_path, monkeypatch) -> Path:
    """Torchvision's list, with an entry whose file lies on this machine."""
    network, _ = trained
    plain = tmp_path / "weights.pth"
    torch.save(network.state_dict(), plain)
    digest = hashlib.sha256(plain.read_bytes()).hexdigest()
    file = plain.rename(tmp_path / f"efficientnet_b0-{digest[:8]}.pth")

    class Listed(WeightsEnum):
        DEFAULT = Weights(url=file.as_uri(), transforms=None, meta={})

    monkeypatch.setattr(models, "get_model_weights", lambda _: Listed)
    return file


def test_a_whole_classifiers_file_fills_the_backbone(trained):
    network, file = trained
    assert same(load(file), network)


def test_a_file_of_the_convolutional_part_is_enough(trained):
    network, file = trained
    save_file({k: v for k, v in load_file(file).items() if "classifier" not in k}, file)
    assert same(load(file), network)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("features.0.0.weight"), "has no tensor '0.0.weight'; expected torchv"),
        (lambda t: t.update(more=torch.ones(1)), "has a tensor 'more'; torchvision's effici"),
        (
            lambda t: t.update({"features.0.0.weight": torch.ones(2)}),
            r"tensor '0.0.weight' is \(2,\); torchvision's efficientnet_b0 has \(32, 3, 3, 3\)",
        ),
        (lambda t: t["features.0.0.weight"].fill_(torch.nan), "'0.0.weight' holds NaN or inf"),
    ],
)
def test_a_file_of_another_network_is_refused(trained, change, message):
    _, file = trained
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)
    with pytest.raises(WeightsError, match=message):
        load(file)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("imagnet", "must be 'none', 'imagenet' or the path of a .safetensors file .* 'imagnet'"),
        ("nowhere.safetensors", "'nowhere.safetensors' cannot be read: No such file"),
    ],
)
def test_weights_that_are_not_there_are_told_in_one_line(weights, message):
    with pytest.raises(WeightsError, match=message) as caught:
        create_model("efficientnet_b0-512", image_size=64, weights=weights)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_told_in_one_line(tmp_path):
    file = tmp_path / "cut.safetensors"
    file.write_bytes(b"cut short")
    with pytest.raises(WeightsError, match=r"cut\.safetensors' cannot be read: ") as caught:
        load(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["vgg16", "resnet18", "convnext_tiny", "efficientnet_b0"])
def test_torchvisions_weights_are_not_fetched_unasked(hub, name):
    with pytest.raises(WeightsError, match=rf"of {name} are not in .*\.pth; .*download=true"):
        load("imagenet", name=name)
    assert not hub.exists()


def test_torchvisions_weights_are_fetched_when_asked_and_then_kept(published, trained, hub, capsys):
    network, _ = trained
    assert same(load("imagenet", download=True), network)
    published.unlink()
    assert (hub / published.name).is_file()
    assert same(load("imagenet"), network)
    assert capsys.readouterr().out == ""


def test_a_damaged_file_in_the_cache_is_refused(published, hub):
    hub.mkdir(parents=True)
    (hub / published.name).write_bytes(published.read_bytes()[:-1])
    with pytest.raises(
        WeightsError, match=r"is damaged: its sha256 starts with .* download it again"
    ):
        load("imagenet")


@pytest.mark.usefixtures("hub")
def test_a_download_that_fails_is_told_in_one_line(published):
    published.unlink()
    with pytest.raises(WeightsError, match="cannot be fetched: ") as caught:
        load("imagenet", download=True)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("published")
def test_offline_nothing_is_fetched(hub, monkeypatch):
    monkeypatch.setenv("CONVAE_ZOO_OFFLINE", "1")
    with pytest.raises(WeightsError, match="CONVAE_ZOO_OFFLINE is set"):
        load("imagenet", download=True)
    assert not hub.exists()

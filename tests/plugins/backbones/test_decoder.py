"""The decoder mirrors VGG-16."""

import pytest
import torch
from convae_backbones.backbone import make_backbone
from convae_backbones.decoder import MirrorDecoder
from torch import nn


def channels(layers: nn.Module) -> list[tuple[int, int]]:
    convolutions = [m for m in layers.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    return [(m.in_channels, m.out_channels) for m in convolutions]


def test_its_channels_are_vgg16s_from_the_end_to_the_start():
    with torch.device("meta"):
        forward, back = channels(make_backbone("vgg16")), channels(MirrorDecoder())
    assert back == [(made, taken) for taken, made in reversed(forward)]


@pytest.mark.parametrize(
    ("config", "latent"),
    [
        ({}, 25088),
        ({"image_size": 32, "width": 16}, 512),
        ({"image_size": 96, "channels": 1280}, 11520),
        ({"image_size": 64, "latent_dim": 5}, 5),
    ],
)
def test_it_takes_flattened_features_or_a_bottleneck(config, latent):
    size = config.get("image_size", 224)
    with torch.device("meta"):
        assert MirrorDecoder(**config)(torch.empty(2, latent)).shape == (2, 3, size, size)


def test_fresh_weights_keep_the_size_of_the_signal():
    torch.manual_seed(0)
    decoder = MirrorDecoder(image_size=64, latent_dim=64, width=16)
    with torch.no_grad():
        images = decoder(torch.randn(4, 64))
    assert 0.1 < float(images.std()) < 10

"""Small models and images for the tests of the plugin."""

import pytest
import torch

import convae_zoo as zoo
from convae_zoo.data import ImageSet

UNET = {"width": 4, "middle_width": 4, "deep_width": 16, "depth": 1, "middle_depth": 1}

OVERRIDES = {
    "residual-200": {"width": 4, "latent_dim": 12},
    "residual-1000": {"width": 4, "latent_dim": 20, "norm": "group", "depth": 2},
    "residual-spatial-192": {"width": 4, "latent_channels": 2},
    # The KL term is divided by the values of an image, of which there are few here.
    "variational-200": {"width": 4, "latent_dim": 12, "beta": 0.02},
    "vector-quantised-512": {"width": 4, "latent_channels": 6, "codes": 10},
    "linear-residual-200": {"width": 4, "latent_dim": 12, "hidden": 16, "depth": 1},
    "linear-residual-1000": {"width": 4, "latent_dim": 20, "hidden": 16, "depth": 1},
    "unet-denoiser": UNET,
    "unet-denoiser-sigma": UNET,
}


def pytest_generate_tests(metafunc):
    """Run a test once per model of the plugin (`name`), or but for denoisers (`autoencoder`)."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", OVERRIDES)
    if "autoencoder" in metafunc.fixturenames:
        metafunc.parametrize("autoencoder", [n for n in OVERRIDES if "denoiser" not in n])


def _small_model(name, seed=0, **more):
    torch.manual_seed(seed)
    return zoo.create_model(name, **{"image_size": 8, **OVERRIDES[name], **more})


def _smooth_images(count, size=8, channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 2, 2, generator=generator)
    field = torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")
    noise = torch.rand(count, channels, size, size, generator=generator)
    return (255 * (0.95 * torch.sigmoid(10 * (field - 0.5)) + 0.05 * noise)).to(torch.uint8)


@pytest.fixture
def small_model():
    """Make a model of the plugin, small and with fresh weights drawn from a seed."""
    return _small_model


@pytest.fixture
def smooth_images():
    """Make images of soft dark and light regions, which no linear map describes: uint8."""
    return _smooth_images


@pytest.fixture
def image_set():
    """Make a set of such images."""

    def make(count=128, split="train", seed=0, **shape):
        images = _smooth_images(count, seed=seed, **shape)
        return ImageSet(name="smooth", split=split, images=images)

    return make

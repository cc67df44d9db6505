"""A denoiser of the zoo as a denoiser of deepinv."""

import importlib
import sys

import pytest
import torch

import convae_zoo as zoo
from convae_zoo.errors import UsageError

pytest.importorskip("deepinv")
adapter = importlib.import_module("convae_zoo.tasks.deepinv")

SMALL = {"width": 4, "middle_width": 4, "deep_width": 16, "depth": 1, "middle_depth": 1}


@pytest.mark.parametrize("sigma", [0.1, torch.tensor([0.1, 0.1])])
def test_images_of_any_size_are_denoised_by_the_given_sigma(sigma):
    model = zoo.create_model("unet-denoiser-sigma", image_size=16, **SMALL).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    denoiser = adapter.DeepinvDenoiser(model)
    x = torch.rand(2, 3, 24, 16)
    expected = (model(2 * x - 1, torch.full((2,), 0.1)) + 1) / 2
    torch.testing.assert_close(denoiser(x, sigma), expected)
    assert not torch.equal(denoiser(x, 0.5), expected)
    assert denoiser(x[..., :19, :9], sigma).shape == (2, 3, 19, 9)


def test_a_model_of_one_image_size_is_refused():
    with pytest.raises(UsageError, match="takes images of one size only"):
        adapter.DeepinvDenoiser(zoo.create_model("convae-200", width=2, latent_dim=2))


def test_without_deepinv_the_package_to_install_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "deepinv.models", None)
    monkeypatch.delitem(sys.modules, "convae_zoo.tasks.deepinv")
    with pytest.raises(UsageError, match=r"pip install 'convae-zoo\[deepinv\]'"):
        importlib.import_module("convae_zoo.tasks.deepinv")

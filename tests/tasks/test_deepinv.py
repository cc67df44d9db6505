"""A denoiser of the zoo as a denoiser of deepinv."""

import importlib
import sys

import pytest
import torch
from skimage import data

import convae_zoo as zoo
from convae_zoo.errors import UsageError

deepinv = pytest.importorskip("deepinv")
adapter = importlib.import_module("convae_zoo.tasks.deepinv")

SMALL = {"width": 4, "middle_width": 4, "deep_width": 16, "depth": 1, "middle_depth": 1}


def psnr(x, clean):
    return -10 * torch.log10((x - clean).square().mean()).item()


def test_plug_and_play_lowers_the_error_of_deblurring():
    torch.manual_seed(0)
    clean = torch.from_numpy(data.chelsea()[40:136, 100:220].copy()).permute(2, 0, 1)[None] / 255
    line = torch.exp(-torch.arange(-6, 7).square() / (2 * 1.5**2))
    kernel = line.outer(line) / line.sum() ** 2
    physics = deepinv.physics.Blur(
        filter=kernel[None, None],
        padding="circular",
        noise_model=deepinv.physics.GaussianNoise(sigma=0.03),
    )
    blurred = physics(clean)
    solver = deepinv.optim.optim_builder(
        "PGD",
        prior=deepinv.optim.PnP(denoiser=adapter.DeepinvDenoiser("unet-denoiser.photographs")),
        data_fidelity=deepinv.optim.data_fidelity.L2(),
        max_iter=8,
        params_algo={"stepsize": 1.0, "g_param": 0.03},
    )
    with torch.no_grad():
        restored = solver(blurred, physics)
    assert psnr(restored, clean) > psnr(blurred, clean) + 1.5


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

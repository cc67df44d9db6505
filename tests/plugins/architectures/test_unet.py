"""The U-Net: a denoiser whose latent holds the image."""

import numpy as np
import pytest
import torch
from convae_architectures.noise import estimate_sigma
from PIL import Image
from torch.nn import functional

import convae_zoo as zoo
from convae_zoo.training.muon import Muon

DENOISERS = pytest.mark.parametrize("denoiser", ["unet-denoiser", "unet-denoiser-sigma"])

SMALL = {
    "width": 4,
    "middle_width": 4,
    "deep_width": 16,
    "depth": 1,
    "middle_depth": 1,
    "image_size": 16,
}


@pytest.fixture
def noisy_pair(smooth_images):
    """Make clean images and the same with noise of a standard deviation of 40 of 255."""
    clean = smooth_images(16, size=16).float() / 127.5 - 1
    generator = torch.Generator().manual_seed(5)
    return clean, clean + torch.randn(clean.shape, generator=generator) * 80 / 255


def trained(model, clean, noisy, steps=50):
    optimizer = Muon(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        functional.mse_loss(model(noisy), clean).backward()
        optimizer.step()
    return model.eval()


@DENOISERS
def test_a_fresh_model_returns_its_input(denoiser, small_model, noisy_pair):
    _, noisy = noisy_pair
    assert torch.equal(small_model(denoiser, image_size=16).eval()(noisy), noisy)


@DENOISERS
def test_training_removes_noise_and_reaches_every_parameter(denoiser, small_model, noisy_pair):
    clean, noisy = noisy_pair
    model = trained(small_model(denoiser, image_size=16, width=16), clean, noisy)
    assert functional.mse_loss(model(noisy), clean) < 0.5 * functional.mse_loss(noisy, clean)
    assert [path for path, p in model.named_parameters() if not p.grad.any()] == []


def test_its_recipe_trains_the_sigma_map_on_a_folder_of_pictures(smooth_images, tmp_path):
    (tmp_path / "pictures").mkdir()
    for number, picture in enumerate(smooth_images(5, size=48).permute(0, 2, 3, 1).numpy()):
        Image.fromarray(picture).save(tmp_path / "pictures" / f"{number}.png")
    zoo.train(
        "unet-denoiser-sigma",
        dataset="image-folder",
        data=tmp_path / "pictures",
        overrides=SMALL,
        epochs=2,
        warmup_steps=0,
        out=tmp_path / "run",
    )
    clean = smooth_images(1, size=40, seed=1)[0].permute(1, 2, 0).numpy() / 255
    noisy = clean + np.random.default_rng(0).normal(0, 40 / 255, clean.shape)
    (estimated,), (weak,), (strong,) = (
        zoo.denoise(tmp_path / "run", noisy, sigma) for sigma in (None, 5, 40)
    )
    assert np.square(estimated - clean).mean() < 0.9 * np.square(noisy - clean).mean()
    assert np.abs(weak - noisy).mean() < np.abs(strong - noisy).mean()


def test_images_of_any_size_divisible_by_8_keep_it(small_model, noisy_pair):
    model = trained(small_model("unet-denoiser", image_size=16), *noisy_pair, steps=2)
    x = torch.rand(2, 3, 24, 40)
    assert model.encode(x).shape == (2, *model.latent_shape[:1], 12, 20)
    assert model(x).shape == x.shape


def test_a_blind_denoiser_scales_with_its_input(small_model, noisy_pair):
    model = trained(small_model("unet-denoiser", image_size=16), *noisy_pair, steps=5)
    x = noisy_pair[1]
    torch.testing.assert_close(model(0.3 * x), 0.3 * model(x))


def test_the_given_sigma_replaces_the_estimate(small_model, noisy_pair):
    _, noisy = noisy_pair
    model = trained(small_model("unet-denoiser-sigma", image_size=16), *noisy_pair, steps=5)
    estimate = estimate_sigma(noisy) / 2
    given = model.encoder(noisy, estimate)
    assert torch.equal(given, model.encoder(noisy))
    assert not torch.equal(given, model.encoder(noisy, estimate + 0.1))


@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.4])
def test_sigma_is_estimated_within_ten_percent(sigma, smooth_images):
    clean = functional.interpolate(smooth_images(4, size=8).float() / 127.5 - 1, scale_factor=16)
    noisy = clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(estimate_sigma(noisy), torch.full((4,), sigma), rtol=0.1, atol=0.005)


def test_no_sigma_is_estimated_where_there_is_no_diagonal_detail():
    assert estimate_sigma(torch.ones(2, 3, 8, 8)).tolist() == [0.0, 0.0]

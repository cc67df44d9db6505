"""Whole pictures through a model: sizes, channels, sigma, and memory."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch import nn

import convae_zoo as zoo
from convae_zoo.errors import ConfigError, DataError, UsageError, ZooWarning
from convae_zoo.tasks.pictures import PictureModel, picture_model
from convae_zoo.tasks.pictures.noise import estimate_sigma, is_noise_without_colour
from convae_zoo.tasks.pictures.quality import quality

DRAW = np.random.default_rng(0)


class Same(nn.Module):
    """A part that returns its input; as an encoder it keeps what sigma it is given."""

    def __init__(self):
        super().__init__()
        self.unused, self.sigmas = nn.Parameter(torch.zeros(1)), []

    def __deepcopy__(self, memo):
        return self

    def forward(self, x, sigma=None):
        self.sigmas.append((tuple(x.shape), sigma))
        return x


def identity(monkeypatch, channels=3, size_multiple=None, takes_sigma=False, corruption="gaussian"):
    """A model of 16×16 images that returns its input."""
    model = zoo.create_model("convae-200", in_channels=channels, image_size=16, width=2)
    model.encoder, model.decoder = Same(), Same()
    model.corruption = corruption
    kind = type(model.plan)
    monkeypatch.setattr(kind, "size_multiple", size_multiple)
    monkeypatch.setattr(kind, "takes_sigma", takes_sigma)
    monkeypatch.setattr(kind, "latent_shape", model.image_shape)
    return model


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (15, 17), (16, 16), (50, 33)])
@pytest.mark.parametrize("multiple", [None, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_identity_gives_every_picture_back_grey_or_colour(monkeypatch, size, multiple, channels):
    model = identity(monkeypatch, channels, multiple)
    for shape in (size, (*size, 3), (*size, 4)):
        array = DRAW.integers(0, 256, shape, dtype=np.uint8)
        (back,) = zoo.reconstruct(model, array)
        assert np.array_equal(back, array)


def test_a_model_of_any_size_sees_a_small_picture_whole_and_a_large_one_in_large_tiles(monkeypatch):
    model = identity(monkeypatch, size_multiple=8)
    run = PictureModel(model, "fp32")
    run(torch.zeros(3, 500, 333))
    assert model.encoder.sigmas[-1][0] == (1, 3, 504, 336)
    run(torch.zeros(3, 20, 1500))
    assert model.encoder.sigmas[-1][0] == (3, 3, 24, 640)


def test_float_pictures_keep_noise_beyond_the_range(monkeypatch):
    noisy = DRAW.normal(0.5, 1, (20, 31, 3))
    (back,) = zoo.denoise(identity(monkeypatch), [noisy])
    assert back.dtype == np.float32
    assert (back.min() < -1) & (back.max() > 2)
    np.testing.assert_allclose(back, noisy, atol=1e-5)


def test_sigma_goes_to_models_that_take_it_or_is_estimated(monkeypatch):
    model = identity(monkeypatch, takes_sigma=True)
    noisy = DRAW.normal(0.5, 25 / 255, (64, 64, 3))
    zoo.denoise(model, noisy, sigma=51)
    assert model.encoder.sigmas[-1][1][0].item() == pytest.approx(0.2)
    zoo.denoise(model, noisy)
    assert model.encoder.sigmas[-1][1][0].item() * 255 == pytest.approx(25, rel=0.1)
    blind = identity(monkeypatch)
    with pytest.warns(ZooWarning, match="takes no sigma"):
        zoo.denoise(blind, noisy, sigma=25)
    assert blind.encoder.sigmas[-1][1] is None


@pytest.mark.parametrize("sigma", [0, 5, 25, 55])
def test_an_estimate_is_near_the_noise(sigma):
    ramp = torch.linspace(50, 200, 256).expand(3, 256, 256)
    noise = sigma * torch.randn(ramp.shape, generator=torch.Generator().manual_seed(0))
    assert estimate_sigma(ramp + noise) == pytest.approx(sigma, rel=0.05, abs=0.5)


def test_a_picture_that_says_nothing_of_its_noise_has_none():
    assert estimate_sigma(torch.rand(3, 1, 1)) == 0
    assert estimate_sigma(torch.full((1, 64, 64), 7, dtype=torch.uint8)) < 1e-6


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("sigma", [None, 20])
def test_a_colour_denoiser_gets_white_noise_with_a_picture_without_colour(
    monkeypatch, copies, sigma
):
    model, seen = identity(monkeypatch), []
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    noisy = DRAW.normal(0.5, 20 / 255, (16, 16, 1)).repeat(copies, 2)
    (back,) = zoo.denoise(model, noisy, sigma)
    np.testing.assert_allclose(back, noisy, atol=1e-5)  # an identity changes nothing
    noise = seen[-1][0] * 255 / 2  # of a model whose values are 2 apart
    covariance = torch.cov(noise.flatten(1)) / 3 / 20**2
    torch.testing.assert_close(covariance, torch.eye(3), atol=0.35, rtol=0)
    zoo.reconstruct(model, noisy)
    assert torch.equal(seen[-1][0, 0], seen[-1][0, 1])


def test_the_shipped_denoiser_removes_the_noise_of_grey_pictures():
    clean = (data.chelsea()[40:136, 100:196] / 255).mean(2)
    noisy = clean + DRAW.normal(0, 25 / 255, clean.shape)
    (denoised,) = zoo.denoise("unet-denoiser.photographs", noisy)
    assert denoised.shape == clean.shape
    assert np.square(denoised - clean).mean() < np.square(noisy - clean).mean() / 6


def test_the_shipped_denoiser_removes_noise_that_jpeg_has_taken_the_colour_of(tmp_path):
    clean = data.chelsea()[40:136, 100:196]
    noisy = (clean + DRAW.normal(0, 25, clean.shape)).round().clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "noisy.jpg", quality=90)
    stored = np.asarray(Image.open(tmp_path / "noisy.jpg"))
    assert is_noise_without_colour(torch.from_numpy(stored.transpose(2, 0, 1).copy()))
    assert not is_noise_without_colour(torch.from_numpy(noisy.transpose(2, 0, 1).copy()))
    (denoised,) = zoo.denoise("unet-denoiser.photographs", tmp_path / "noisy.jpg")
    before, after = (np.square(x - clean.astype(float)).mean() for x in (stored, denoised))
    assert after < before / 3


def test_a_model_that_was_not_trained_to_denoise_is_warned_of(monkeypatch):
    picture = np.zeros((8, 8, 3), np.uint8)
    with pytest.warns(ZooWarning, match="was not trained to remove noise"):
        zoo.denoise(identity(monkeypatch, corruption=""), picture)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zoo.denoise(identity(monkeypatch), picture)
        zoo.reconstruct(identity(monkeypatch, corruption=""), picture)


@pytest.mark.parametrize("sigma", [-1, 256, float("nan"), "25", True])
def test_a_sigma_out_of_range_is_refused(monkeypatch, sigma):
    with pytest.raises(ConfigError, match="sigma must be a number from 0 to 255"):
        zoo.denoise(identity(monkeypatch), np.zeros((8, 8), np.uint8), sigma=sigma)


def test_what_is_no_model_or_no_picture_is_refused(monkeypatch):
    with pytest.raises(UsageError, match="model must be an Autoencoder"):
        zoo.reconstruct(7, [])
    with pytest.raises(DataError, match=r"no image file at nowhere\.png"):
        zoo.reconstruct(identity(monkeypatch), ["nowhere.png"])
    assert zoo.reconstruct(identity(monkeypatch), []) == []


def test_progress_counts_the_tiles_of_each_picture(monkeypatch):
    told = []
    picture = np.zeros((16, 24), np.uint8)
    zoo.reconstruct(identity(monkeypatch), [picture], progress=lambda *t: told.append(t))
    assert told == [(2, 2)]


def test_memory_beside_the_picture_is_that_of_a_batch(monkeypatch):
    monkeypatch.setattr(picture_model, "BATCH_PIXELS", 16 * 16 * 5)
    model = identity(monkeypatch)
    PictureModel(model, "fp32")(torch.zeros(3, 200, 300))
    assert max(shape[0] for shape, _ in model.encoder.sigmas) == 5


def test_quality_is_that_of_the_whole_picture_in_any_number_of_strips(monkeypatch):
    from convae_zoo.tasks.pictures import quality as module

    original = torch.rand(3, 64, 50, generator=torch.Generator().manual_seed(0)) * 255
    noisy = original + 10
    whole = quality(noisy, original)
    assert whole.psnr == pytest.approx(20 * np.log10(25.5), abs=1e-3)
    monkeypatch.setattr(module, "_STRIP_PIXELS", 64 * 50 // 3)
    strips = quality(noisy, original)
    assert strips.psnr == pytest.approx(whole.psnr)
    assert strips.ssim == pytest.approx(whole.ssim, abs=0.01)
    assert quality(original, original).psnr == 100
    assert quality(original[:1], original).psnr < 100
    with pytest.raises(DataError, match="the picture has 64×50 pixels and the clean one 50×64"):
        quality(original, original.transpose(1, 2))


def test_a_denoiser_whose_corruption_is_not_installed_still_denoises(monkeypatch):
    model = identity(monkeypatch, corruption="noise-of-another-plugin(strength=3)")
    picture = DRAW.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    (made,) = zoo.denoise(model, picture)
    assert np.array_equal(made, picture)

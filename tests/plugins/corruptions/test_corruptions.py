"""Each corruption does what it says, at known strengths; the kit checks the protocol."""

import pytest
import torch

from convae_zoo.data.corrupt import Corruption, keyed_generator

GREY = torch.full((4, 3, 64, 64), 100, dtype=torch.uint8)


def corrupted(text, images=GREY, seed=0):
    return Corruption(text)(images, keyed_generator(seed)).images


def texture(size=64):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8, generator=generator)


def test_gaussian_noise_has_its_sigma_and_is_not_clipped():
    noise = corrupted("gaussian(sigma=100)") - GREY
    assert noise.mean().abs() < 2
    assert noise.std().item() == pytest.approx(100, rel=0.02)
    assert noise.min() < -150
    assert torch.equal(corrupted("gaussian(sigma=0)"), GREY.float())


def test_gaussian_noise_of_a_range_has_another_sigma_in_each_image():
    images = GREY[:1, :, :16, :16].expand(200, -1, -1, -1)
    found = Corruption("gaussian(sigma=5:55)")(images, keyed_generator(0))
    assert found.sigma.min() < 10
    assert found.sigma.max() > 50
    assert found.sigma.mean().item() == pytest.approx(30, abs=3)
    measured = (found.images - images).flatten(1).std(1)
    torch.testing.assert_close(measured, found.sigma, rtol=0.15, atol=0)


def test_poisson_noise_is_that_of_the_photons_it_counts():
    found = corrupted("poisson(peak=30)")
    assert found.mean().item() == pytest.approx(100, rel=0.01)
    assert found.var().item() == pytest.approx(100 * 255 / 30, rel=0.05)
    assert (corrupted("poisson", torch.zeros(1, 1, 4, 4, dtype=torch.uint8)) == 0).all()


def test_salt_and_pepper_turns_its_share_of_whole_pixels_black_or_white():
    found = corrupted("salt-and-pepper(share=0.2)")
    black, white = (found == 0).all(1), (found == 255).all(1)
    assert black.float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert white.float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert (found[:, 0] == 100).sum() == (~black & ~white).sum()
    assert set(corrupted("salt-and-pepper(share=1)").unique().tolist()) == {0, 255}


def test_a_mask_covers_its_share_of_the_squares_and_nothing_else():
    found = corrupted("mask(share=0.25, size=16)")
    squares = found.unfold(2, 16, 16).unfold(3, 16, 16).flatten(4)
    assert ((squares == 0).all(-1) | (squares == 100).all(-1)).all()
    assert ((squares[:, 0] == 0).all(-1).flatten(1).sum(1) == 4).all()
    assert (corrupted("mask(share=1, size=100)") == 0).all()


@pytest.mark.parametrize("text", ["blur(sigma=2)", "blur(sigma=2:2)"])
def test_a_blurred_point_is_a_gaussian_of_its_sigma(text):
    point = torch.zeros(2, 1, 41, 41, dtype=torch.uint8)
    point[..., 20, 20] = 255
    found = corrupted(text, point)[1, 0].double()
    x = torch.arange(41) - 20.0
    assert found.sum().item() == pytest.approx(255, rel=1e-4)
    assert ((found.sum(0) * x**2).sum() / 255).item() == pytest.approx(4, rel=0.01)
    assert torch.equal(corrupted("blur(sigma=0)", point), point.float())


def test_blur_keeps_a_constant_image_up_to_its_border():
    torch.testing.assert_close(corrupted("blur(sigma=3)"), GREY.float())


def test_a_lower_jpeg_quality_loses_more():
    images = texture()
    errors = [
        (corrupted(f"jpeg(quality={quality})", images) - images).square().mean().item()
        for quality in (100, 50, 5)
    ]
    assert errors == sorted(errors)
    assert corrupted("jpeg(quality=1:100)", images[:1, :2]).shape == (1, 2, 64, 64)
    assert (corrupted("jpeg", images.float() * 2 - 100) <= 255).all()


def test_downscaling_removes_fine_texture_and_keeps_the_mean():
    images = texture()
    found = corrupted("downscale(factor=4)", images)
    assert found.std() < images.float().std() / 2
    assert found.mean().item() == pytest.approx(images.float().mean().item(), abs=1)
    torch.testing.assert_close(corrupted("downscale(factor=1)", images), images.float())
    assert corrupted("downscale(factor=64)", images[..., :3, :5]).shape == (2, 3, 3, 5)

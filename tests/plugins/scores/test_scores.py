"""Each score against its formula written plainly, or scikit-learn's or torchmetrics' value."""

import copy

import numpy as np
import pytest
import torch
from convae_scores.bounded import BoundedScore
from convae_scores.combined import CombinedScore
from convae_scores.configs import DISTANCES, ERRORS
from convae_scores.density import DensityScore
from convae_scores.mahalanobis import MahalanobisScore
from convae_scores.maps import mean_of_highest, smooth
from convae_scores.nearest_image import NearestImageScore
from convae_scores.neighbours import NeighboursScore
from convae_scores.reconstruction import ReconstructionScore
from convae_scores.ssim import SSIMScore
from scipy.ndimage import gaussian_filter
from sklearn.covariance import LedoitWolf
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from torchmetrics.functional.image import structural_similarity_index_measure

from convae_zoo import compose
from convae_zoo.errors import DataError


@pytest.fixture(scope="module")
def model():
    config = {"width": 4, "latent_dim": 6, "image_size": 16, "in_channels": 1, "depth": 0}
    torch.manual_seed(0)
    made = compose("residual", "residual", encoder_config=config, decoder_config=config)
    return made.eval().requires_grad_(requires_grad=False)


def images(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 1, 16, 16), generator=generator, dtype=torch.uint8)


def latents(model, given):
    return model.encode(model.to_float(given)).numpy().astype(np.float64)


def test_reconstruction_is_the_mean_squared_error_in_0_1(model):
    given = images(3)
    scores, maps = ReconstructionScore()(given, model)
    expected = ((model(model.to_float(given)) - model.to_float(given)) / 2)[:, 0] ** 2
    torch.testing.assert_close(maps, expected)
    torch.testing.assert_close(scores, expected.mean((1, 2)))


def test_smoothing_is_scipys_mirrored_gaussian_and_top_takes_the_highest_pixels(model):
    given = images(2)
    _, plain = ReconstructionScore()(given, model)
    scores, maps = ReconstructionScore(smoothing=1.5, top=0.1)(given, model)
    for one, smoothed, score in zip(plain, maps, scores, strict=True):
        expected = gaussian_filter(one.double().numpy(), 1.5, mode="mirror", radius=6)
        np.testing.assert_allclose(smoothed, expected, rtol=1e-4)
        highest = np.sort(expected.ravel())[-26:]  # of 256 pixels
        np.testing.assert_allclose(score, highest.mean(), rtol=1e-4)


def test_a_smoothed_map_of_any_size_keeps_a_constant_and_one_pixel_is_the_fewest():
    flat = torch.full((1, 1, 3, 2), 0.7)
    torch.testing.assert_close(smooth(flat, 8.0), flat)
    maps = torch.arange(6.0).view(1, 2, 3)
    assert mean_of_highest(maps, 1e-6).tolist() == [5.0]


def test_ssim_is_torchmetrics_on_the_values_clipped_to_0_1(model):
    given = images(3)
    scores, maps = SSIMScore(window=7)(given, model)
    made = model(model.to_float(given)).clamp(-1, 1)
    similarity, full = structural_similarity_index_measure(
        (made + 1) / 2,
        (model.to_float(given) + 1) / 2,
        sigma=1.5 * 7 / 11,
        data_range=1.0,
        reduction="none",
        return_full_image=True,
    )
    torch.testing.assert_close(maps, 1 - full[:, 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scores, 1 - similarity, atol=1e-4, rtol=1e-4)


def test_mahalanobis_is_scikit_learns_with_the_covariance_of_ledoit_and_wolf(model):
    score = MahalanobisScore()
    score.fit(images(40).split(16), model)
    got, maps = score(images(9, seed=1), model)
    normal = latents(model, images(40))
    # Our estimate is of latents scaled to variance 1; the shrinkage is the same at any scale.
    expected = LedoitWolf().fit(normal).mahalanobis(latents(model, images(9, seed=1)))
    assert maps is None
    np.testing.assert_allclose(got, np.sqrt(expected / normal.shape[1]), rtol=1e-3)


def test_mahalanobis_is_finite_with_fewer_images_than_floats_of_a_latent(model):
    score = MahalanobisScore()
    score.fit([images(3)], model)
    assert score(images(9, seed=1), model)[0].isfinite().all()


def test_neighbours_is_the_mean_distance_to_scikit_learns_nearest(model):
    score = NeighboursScore(neighbours=3)
    score.fit(images(40).split(16), model)
    got, _ = score(images(9, seed=1), model)
    search = NearestNeighbors(n_neighbors=3).fit(latents(model, images(40)))
    distances, _ = search.kneighbors(latents(model, images(9, seed=1)))
    np.testing.assert_allclose(got, distances.mean(axis=1), rtol=1e-4)


def test_neighbours_keeps_no_more_latents_than_its_bank_and_takes_what_there_are(model):
    score = NeighboursScore(neighbours=9, bank=5)
    score.fit([images(40)], model)
    assert score.normal.shape == (5, 6)
    assert score(images(2, seed=1), model)[0].isfinite().all()


def test_density_is_scikit_learns_log_density_of_the_projected_latents(model):
    score = DensityScore(components=3, dimensions=4)
    score.fit(images(60).split(16), model)
    got, _ = score(images(9, seed=1), model)
    mixture = GaussianMixture(3)
    mixture.weights_ = score.weights.double().numpy()
    mixture.means_ = score.means.double().numpy()
    mixture.precisions_cholesky_ = score.precisions.double().numpy()
    projected = (latents(model, images(9, seed=1)) - score.mean.numpy()) @ score.projection.numpy()
    expected = -mixture.score_samples(projected) / 4 - np.log(2 * np.pi) / 2
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_density_has_no_more_gaussians_than_one_per_ten_images(model):
    score = DensityScore(components=10)
    score.fit([images(25)], model)
    assert score.means.shape == (2, 6)


def test_blur_is_of_the_difference_before_it_is_squared(model):
    given = images(2)
    _, maps = ReconstructionScore(blur=1.0)(given, model)
    difference = ((model(model.to_float(given)) - model.to_float(given)) / 2)[:, 0].double()
    for one, got in zip(difference.numpy(), maps, strict=True):
        expected = gaussian_filter(one, 1.0, mode="mirror", radius=4) ** 2
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-6)


def test_bounded_reconstructs_from_latents_within_a_range_of_the_normal_ones_axes(model):
    score = BoundedScore(limit=0.5, blur=0)
    score.fit(images(40).split(16), model)
    normal, given = latents(model, images(40)), images(9, seed=1)
    fitted = LedoitWolf().fit(normal)
    values, vectors = np.linalg.eigh(fitted.covariance_)
    along = (latents(model, given) - fitted.location_) @ vectors / np.sqrt(values)
    inside = along.clip(-0.5, 0.5) * np.sqrt(values) @ vectors.T + fitted.location_
    made = model.decode(torch.from_numpy(inside).float())
    expected = ((made - model.to_float(given)) / 2)[:, 0] ** 2
    scores, maps = score(given, model)
    torch.testing.assert_close(maps, expected, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(scores, expected.mean((1, 2)), atol=1e-4, rtol=1e-3)


def test_bounded_without_a_limit_in_reach_is_the_reconstruction(model):
    score = BoundedScore(limit=100, blur=1)
    score.fit([images(40)], model)
    expected, _ = ReconstructionScore(blur=1)(images(9, seed=1), model)
    torch.testing.assert_close(score(images(9, seed=1), model)[0], expected)


def test_nearest_image_is_the_mean_distance_to_scikit_learns_nearest_blurred_images(model):
    score = NearestImageScore(neighbours=3, blur=1.0)
    score.fit(images(40).split(16), model)
    got, maps = score(images(9, seed=1), model)

    def blurred(given):
        return np.stack(
            [
                gaussian_filter(i[0] / 255.0, 1.0, mode="mirror", radius=4).ravel()
                for i in given.numpy()
            ]
        )

    search = NearestNeighbors(n_neighbors=3).fit(blurred(images(40)))
    distances, nearest = search.kneighbors(blurred(images(9, seed=1)))
    np.testing.assert_allclose(got, distances.mean(axis=1) / 16, rtol=1e-4)
    differences = blurred(images(9, seed=1))[:, None] - blurred(images(40))[nearest]
    expected = (differences**2).mean(1).reshape(9, 16, 16)
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-6)


def test_nearest_image_keeps_no_more_images_than_its_bank(model):
    score = NearestImageScore(neighbours=9, bank=5)
    score.fit([images(40)], model)
    assert score.normal.shape == (5, 1, 16, 16)
    assert score(images(2, seed=1), model)[0].isfinite().all()


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("distance", DISTANCES)
def test_combined_adds_two_scores_that_are_standard_on_every_fifth_image(model, error, distance):
    given = images(50)
    score = CombinedScore(error, distance)
    score.fit(given.split(16), model)
    held = given[4::5]
    expected, expected_maps = 0, 0
    for part in (score.error, score.distance):
        scores, maps = part(held, model)
        expected = expected + (scores.double() - scores.double().mean()) / scores.double().std()
        expected_maps = expected_maps + (0 if maps is None else maps / maps.mean())
    got, got_maps = score(held, model)
    torch.testing.assert_close(got.double(), expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(got_maps, expected_maps, rtol=1e-3, atol=1e-4)


def test_the_parts_of_combined_are_fitted_without_the_held_out_images(model):
    score = CombinedScore()
    score.fit(images(50).split(7), model)
    assert len(score.distance.normal) == 40


@pytest.mark.parametrize(
    ("score", "count", "message"),
    [
        (MahalanobisScore(), 1, "at least 2 images, got 1"),
        (DensityScore(), 1, "at least 2 images, got 1"),
        (NeighboursScore(), 0, "at least 1 images, got 0"),
        (NearestImageScore(), 0, "at least 1 image, got 0"),
        (BoundedScore(), 1, "at least 2 images, got 1"),
        (CombinedScore(), 9, "at least 10 images, got 9"),
    ],
)
def test_too_few_images_are_refused(model, score, count, message):
    with pytest.raises(DataError, match=message):
        score.fit([images(count)] if count else [], model)


@pytest.mark.parametrize(
    "score", [MahalanobisScore(), DensityScore(), BoundedScore(), CombinedScore()]
)
def test_a_model_whose_latents_do_not_differ_is_refused(model, score):
    with pytest.raises(DataError, match="collapsed"):
        score.fit([images(1).expand(20, -1, -1, -1)], model)


def test_latents_that_are_not_finite_are_refused(model):
    broken = copy.deepcopy(model)
    broken.encoder.head.bias[0] = torch.nan
    with pytest.raises(DataError, match="NaN or infinity"):
        MahalanobisScore().fit([images(5)], broken)

import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.functional.image import structural_similarity_index_measure

import convae_zoo as zoo
from convae_zoo.data import ImageSet, pixels
from convae_zoo.errors import DataError, UsageError
from convae_zoo.evaluation import evaluate
from convae_zoo.evaluation import pca as pca_module
from convae_zoo.evaluation.metrics import PSNR_LIMIT, measure, psnr, ssim
from convae_zoo.evaluation.pca import fit_pca, why_no_pca
from convae_zoo.tasks.batches import reconstruct_batches


def image_set(count, shape=(3, 16, 16), *, split="val", seed=0):
    """Images with structure that PCA can find: sums of a few smooth waves, and some noise."""
    draw = torch.Generator().manual_seed(seed)
    channels, height, width = shape
    waves = torch.randn(6, channels, height, width, generator=torch.Generator().manual_seed(7))
    smooth = nn.functional.avg_pool2d(waves, 5, stride=1, padding=2)
    images = torch.einsum("nk,kchw->nchw", torch.randn(count, 6, generator=draw), smooth)
    images = 0.5 + 0.4 * images + 0.02 * torch.randn(images.shape, generator=draw)
    return ImageSet(name="waves", split=split, images=pixels.to_uint8(images, (0.0, 1.0)))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return zoo.create_model("convae-200", latent_dim=5, width=2, image_size=16)


@pytest.fixture(scope="module")
def pair():
    draw = torch.Generator().manual_seed(3)
    originals = torch.rand(9, 3, 16, 13, generator=draw)
    noise = 0.3 * torch.randn(originals.shape, generator=draw)
    return originals, originals + noise


def plain_ssim(x, y, window=11, sigma=1.5):
    """SSIM of one image, float64, written as the paper has it, mirrored at the edges."""
    axis = np.arange(window) - window // 2
    kernel = np.exp(-(axis**2) / (2 * sigma**2))
    kernel = np.outer(kernel, kernel) / kernel.sum() ** 2
    c1, c2 = 0.01**2, 0.03**2

    def blur(image):
        half = window // 2
        image = np.pad(image, ((0, 0), (half, half), (half, half)), mode="reflect")
        views = np.lib.stride_tricks.sliding_window_view(image, (window, window), axis=(1, 2))
        return np.einsum("chwij,ij->chw", views, kernel)

    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    return np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))


def test_metrics_equal_plain_float64_formulas(pair):
    found = measure([pair], (-1.0, 1.0))
    x, y = (t.numpy().astype(np.float64) for t in pair)
    shown = y.clip(0, 1)
    errors = ((shown - x) ** 2).mean((1, 2, 3))
    assert found.mse == pytest.approx(((y - x) ** 2).mean(), rel=1e-6)
    assert found.mse_in_range == pytest.approx((((2 * y - 1) - (2 * x - 1)) ** 2).mean(), rel=1e-6)
    assert found.psnr == pytest.approx((-10 * np.log10(errors)).mean(), rel=1e-6)
    plain = np.mean([plain_ssim(a, b) for a, b in zip(x, shown, strict=True)])
    assert found.ssim == pytest.approx(plain, abs=1e-5)
    edges = [
        np.hypot(v[:, :, 1:, :-1] - v[:, :, :-1, :-1], v[:, :, :-1, 1:] - v[:, :, :-1, :-1])
        for v in (shown, x)
    ]
    assert found.sharpness == pytest.approx(edges[0].mean() / edges[1].mean(), rel=1e-6)


def test_sharpness_is_1_for_the_original_below_for_blur_and_above_for_noise(pair):
    originals, noisy = pair
    blurred = nn.functional.avg_pool2d(originals, 3, stride=1, padding=1)
    same, soft, rough = (
        measure([(originals, v)], (0.0, 1.0)).sharpness for v in (originals, blurred, noisy)
    )
    assert same == 1.0
    assert soft < 0.6
    assert rough > 1.0


def test_sharpness_is_none_where_the_originals_have_no_edges():
    flat = torch.full((2, 1, 12, 12), 0.5)
    assert measure([(flat, torch.rand(flat.shape))], (0.0, 1.0)).sharpness is None
    row = torch.rand(2, 1, 1, 12)
    assert measure([(row, row)], (0.0, 1.0)).sharpness is None


def test_ssim_is_torchmetrics_own_where_its_window_fits(pair):
    originals, reconstructions = pair[0], pair[1].clamp(0, 1)
    theirs = structural_similarity_index_measure(
        reconstructions, originals, data_range=1.0, reduction="none"
    )
    torch.testing.assert_close(ssim(reconstructions, originals), theirs)


def test_mse_is_of_unclipped_values_and_psnr_of_clipped_ones():
    """White that comes out twice as bright is wrong to the loss and right to the eye."""
    white = torch.ones(2, 1, 12, 12)
    found = measure([(white, 2 * white)], (0.0, 1.0))
    assert found.mse == 1.0
    assert found.psnr == PSNR_LIMIT


@pytest.mark.parametrize("size", [7, 4, 1])
def test_unequal_last_batches_change_nothing(pair, size):
    originals, reconstructions = pair
    parts = zip(originals.split(size), reconstructions.split(size), strict=True)
    whole, batched = measure([pair], (-1.0, 1.0)), measure(parts, (-1.0, 1.0))
    for name in ("mse", "mse_in_range", "psnr", "ssim", "sharpness"):
        assert getattr(batched, name) == pytest.approx(getattr(whole, name), rel=1e-5), name


def test_an_exact_image_counts_a_hundred_decibels_and_not_infinity():
    image = torch.rand(1, 3, 12, 12)
    assert psnr(image, image).tolist() == [PSNR_LIMIT]


@pytest.mark.parametrize(("side", "window"), [(32, 11), (11, 11), (10, 9), (4, 3), (3, 3)])
def test_ssim_window_is_the_largest_odd_size_that_fits(side, window):
    draw = torch.Generator().manual_seed(1)
    x = torch.rand(1, 1, side, side + 3, generator=draw)
    y = (x + 0.1 * torch.randn(x.shape, generator=draw)).clamp(0, 1)
    plain = plain_ssim(x[0].double().numpy(), y[0].double().numpy(), window, 1.5 * window / 11)
    assert ssim(y, x).tolist() == pytest.approx([plain], abs=1e-5)


def test_ssim_is_none_where_no_window_fits():
    image = torch.rand(4, 3, 2, 2)
    assert measure([(image, image)], (0.0, 1.0)).ssim is None


def test_values_that_are_not_finite_are_refused():
    image = torch.rand(1, 3, 12, 12)
    with pytest.raises(DataError, match="not finite"):
        measure([(image, image * math.nan)], (0.0, 1.0))


def test_no_images_are_refused():
    with pytest.raises(DataError, match="no images"):
        measure([], (0.0, 1.0))


def plain_pca(train, val, components):
    """Reconstruct by a direct SVD in float64."""
    x, y = (s.images.flatten(1).double().numpy() / 255 for s in (train, val))
    mean = x.mean(0)
    rows = np.linalg.svd(x - mean, full_matrices=False)[2][:components]
    return ((y - mean) @ rows.T @ rows + mean).reshape(val.images.shape), y.reshape(
        val.images.shape
    )


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 8, 8)])
def test_pca_equals_a_direct_float64_svd(shape):
    train, val = image_set(400, shape, seed=1), image_set(50, shape, seed=2)
    fitted = fit_pca(train.images, 20)
    expected, originals = plain_pca(train, val, 20)
    back = fitted.reconstruct(torch.from_numpy(originals).float()).double().numpy()
    assert ((back - originals) ** 2).mean() == pytest.approx(
        ((expected - originals) ** 2).mean(), rel=1e-4
    )
    assert fitted.images == 400


def test_pca_of_nearly_equal_images_keeps_its_precision():
    """Bright images that differ by one grey level: the mean's square dwarfs the covariance."""
    draw = torch.Generator().manual_seed(5)
    images = 254 + torch.randint(0, 2, (3000, 1, 8, 8), generator=draw, dtype=torch.uint8)
    same = ImageSet(name="bright", split="train", images=images)
    expected, originals = plain_pca(same, same, 10)
    back = fit_pca(images, 10).reconstruct(torch.from_numpy(originals).float()).double().numpy()
    assert ((back - originals) ** 2).mean() == pytest.approx(
        ((expected - originals) ** 2).mean(), rel=1e-3
    )


def test_wide_images_get_a_randomised_pca_near_the_exact_one():
    train, val = image_set(120, (3, 40, 40), seed=1), image_set(30, (3, 40, 40), seed=2)
    assert math.prod(train.image_shape) > pca_module.COVARIANCE_LIMIT
    expected, originals = plain_pca(train, val, 6)
    first, again = fit_pca(train.images, 6), fit_pca(train.images, 6)
    back = first.reconstruct(torch.from_numpy(originals).float()).double().numpy()
    assert ((back - originals) ** 2).mean() == pytest.approx(
        ((expected - originals) ** 2).mean(), rel=0.02
    )
    assert torch.equal(first.components, again.components)


def test_pca_is_fitted_on_evenly_spaced_images_if_all_exceed_the_limit(monkeypatch):
    monkeypatch.setattr(pca_module, "_VALUES_LIMIT", 64 * 50)
    images = image_set(500, (1, 8, 8)).images
    fitted = fit_pca(images, 5)
    spaced = fit_pca(images[torch.linspace(0, 499, 50).long()], 5)
    assert fitted.images == 50
    torch.testing.assert_close(fitted.components, spaced.components)


@pytest.mark.parametrize(
    ("components", "values", "count", "words"),
    [
        (65, 64, None, "only 64 values"),
        (65, 64, 1000, "only 64 values"),
        (60, 64, 59, "there are 59"),
        (25088, 150528, 10**6, "there are 1783"),
    ],
)
def test_the_reason_against_an_impossible_pca_is_returned(components, values, count, words):
    assert words in why_no_pca(components, values, count)


def test_a_possible_pca_has_no_reason_against_it():
    assert why_no_pca(64, 64, 64) is None
    assert why_no_pca(200, 3072, 60_000) is None


def test_evaluate_compares_the_model_with_pca_of_its_latent_size(model):
    train, val = image_set(300, split="train", seed=1), image_set(40, seed=2)
    found = evaluate(model, val, train=train)
    expected, originals = plain_pca(train, val, 5)
    assert found.pca.mse == pytest.approx(((expected - originals) ** 2).mean(), rel=1e-4)
    assert found.pca.mse_in_range == pytest.approx(4 * found.pca.mse)
    assert found.ratio_to_pca == found.model.mse / found.pca.mse
    assert (found.dataset, found.split, found.images) == ("waves", "val", 40)
    assert (found.latent_floats, found.compression_ratio) == (5, 768 / 5)
    assert found.fingerprint == val.fingerprint
    assert (found.pca_images, found.pca_reason) == (300, None)


def test_mse_in_range_is_the_validation_loss(model):
    val = image_set(33)
    x = pixels.to_float(val.images, model.value_range)
    with torch.no_grad():
        loss = nn.functional.mse_loss(model.eval()(x), x)
    found = evaluate(model, val, baseline=False)
    assert found.model.mse_in_range == pytest.approx(loss.item(), rel=1e-6)


def test_the_batch_size_changes_nothing(model):
    train, val = image_set(100, split="train", seed=1), image_set(40, seed=2)
    one, other = (evaluate(model, val, train=train, batch_size=n) for n in (7, 256))
    for part in ("model", "pca"):
        for name in ("mse", "mse_in_range", "psnr", "ssim", "sharpness"):
            values = [getattr(getattr(e, part), name) for e in (one, other)]
            assert values[0] == pytest.approx(values[1], rel=1e-5), (part, name)


@pytest.mark.parametrize("training", [True, False])
def test_each_module_keeps_its_own_mode(training):
    model = zoo.create_model("convae-200", latent_dim=5, width=2, image_size=16).train(training)
    model.encoder.eval()
    before = [m.training for m in model.modules()]
    val = image_set(4)
    evaluate(model, val, baseline=False)
    reconstruct_batches(model, val.images)
    assert [m.training for m in model.modules()] == before


def test_a_failed_evaluation_restores_the_mode_too():
    model = zoo.create_model("convae-200", latent_dim=5, width=2, image_size=16).train()
    with torch.no_grad():
        model.decoder.conv[-1].bias.fill_(math.nan)
    with pytest.raises(DataError, match="not finite"):
        evaluate(model, image_set(4), baseline=False)
    assert all(m.training for m in model.modules())


def test_images_are_fitted_to_the_model(model):
    grey = image_set(6, (1, 28, 28))
    found = evaluate(model, grey, baseline=False)
    assert found.fingerprint == grey.fitted((3, 16, 16)).fingerprint


def test_channels_that_cannot_be_fitted_are_refused(model):
    with pytest.raises(DataError, match="5 channels"):
        evaluate(model, image_set(4, (5, 16, 16)))


def test_a_model_has_no_ratio_to_a_pca_that_is_exact(model):
    plain = torch.randint(0, 256, (40, 1, 1, 1), dtype=torch.uint8)
    images = ImageSet(name="plain", split="val", images=plain.expand(-1, 3, 16, 16).contiguous())
    found = evaluate(model, images, train=images)
    assert found.pca.mse < 1e-9
    assert found.ratio_to_pca is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"baseline": False}, "not requested"),
        ({}, "no train images"),
        ({"train": image_set(4, split="train")}, "there are 4"),
    ],
)
def test_a_missing_baseline_has_a_reason(model, options, words):
    found = evaluate(model, image_set(4), **options)
    assert found.pca is None
    assert words in found.pca_reason
    assert found.ratio_to_pca is None


def test_a_latent_larger_than_an_image_has_no_baseline():
    model = zoo.create_model("convae-200", latent_dim=300, width=2, in_channels=1, image_size=16)
    train = image_set(400, (1, 16, 16), split="train")
    found = evaluate(model, image_set(4, (1, 16, 16)), train=train)
    assert "only 256 values" in found.pca_reason


def test_json_holds_everything(model):
    found = evaluate(model, image_set(4), train=image_set(20, split="train"))
    read = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert read["model"]["mse"] == found.model.mse
    assert read["pca"]["ssim"] == found.pca.ssim
    assert read["ratio_to_pca"] == found.ratio_to_pca
    assert read["name"] == "convae-200"


def test_a_batch_size_of_0_is_refused(model):
    with pytest.raises(UsageError, match="batch_size"):
        evaluate(model, image_set(4), batch_size=0)


def test_progress_ends_at_the_number_of_images(model):
    told = []
    evaluate(
        model,
        image_set(10),
        train=image_set(20, split="train"),
        batch_size=4,
        progress=lambda *what: told.append(what),
    )
    assert [done for what, done, _ in told if what == "measuring convae-200"] == [0, 4, 8, 10]
    assert ("fitting PCA-5", 0, 0) in told
    assert told[-1] == ("measuring PCA-5", 10, 10)


def test_reconstruct_returns_the_models_output_as_pixels(model):
    images = image_set(5).images
    with torch.no_grad():
        expected = model.postprocess(model.eval()(pixels.to_float(images, model.value_range)))
    assert torch.equal(reconstruct_batches(model, images, batch_size=2), expected)

"""Figures of detection, against scikit-learn's and a plain implementation of AUPRO."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from convae_zoo.errors import DataError
from convae_zoo.evaluation import detection
from convae_zoo.evaluation.detection import alarm_rate, measure_detection
from convae_zoo.evaluation.detection_baselines import detection_baselines
from convae_zoo.evaluation.regions import aupro


def random(seed=0):
    return np.random.default_rng(seed)


def plain_aupro(maps, masks, limit):
    """The curve at every threshold, region by region."""
    regions = []
    for index, mask in enumerate(masks):
        labels, count = label(mask, np.ones((3, 3)))
        regions += [(index, labels == number + 1) for number in range(count)]
    points = [(0.0, 0.0)]
    for threshold in sorted(set(maps.ravel()), reverse=True):
        above = maps >= threshold
        overlap = np.mean([above[index][region].mean() for index, region in regions])
        points.append((above[~masks].mean(), overlap))
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x0 < limit and x1 > x0:
            end = min(x1, limit)
            at_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
            area += (end - x0) * (y0 + at_end) / 2
    return area / limit


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**16),
    levels=st.sampled_from([2, 5, 1000]),
    share=st.sampled_from([0.05, 0.3, 0.7]),
    limit=st.sampled_from([0.05, 0.3, 1.0]),
)
def test_aupro_is_the_area_of_the_curve_taken_threshold_by_threshold(seed, levels, share, limit):
    masks = random(seed).random((3, 7, 6)) < share
    maps = random(seed + 1).integers(0, levels, masks.shape) / levels
    if masks.any() and not masks.all():
        assert aupro(maps, masks, limit) == pytest.approx(plain_aupro(maps, masks, limit))


def test_aupro_is_1_for_a_perfect_map_and_every_region_counts_alike():
    masks = np.zeros((1, 20, 20), bool)
    masks[0, 1:4, 1:4] = masks[0, 8:18, 8:18] = True
    assert aupro(masks.astype(float), masks) == pytest.approx(1)
    only_small = np.zeros(masks.shape)
    only_small[0, 1:4, 1:4] = 1
    # At a rate r, a share r of all else is above the threshold too, of the large region as well.
    assert aupro(only_small, masks) == pytest.approx(0.5 + 0.5 * 0.3 / 2)


def test_aupro_needs_normal_and_anomalous_pixels():
    maps = random().random((2, 4, 4))
    assert aupro(maps, np.zeros(maps.shape, bool)) is None
    assert aupro(maps, np.ones(maps.shape, bool)) is None


def sample():
    """Scores and maps of twenty images, eight of them anomalous."""
    anomalous = torch.tensor([True] * 8 + [False] * 12)
    masks = torch.from_numpy(random(1).random((20, 6, 5)) < 0.3) & anomalous[:, None, None]
    scores = torch.from_numpy(random(2).random(20)).float() + 0.3 * anomalous
    maps = torch.from_numpy(random(3).random((20, 6, 5))).float() + 0.5 * masks
    return scores, anomalous, maps, masks


def test_the_figures_are_scikit_learns():
    scores, anomalous, maps, masks = sample()
    got = measure_detection(scores, anomalous, threshold=0.8, maps=maps, masks=masks)
    assert got.auroc == roc_auc_score(anomalous, scores.double())
    assert got.average_precision == average_precision_score(anomalous, scores.double())
    assert got.f1 == f1_score(anomalous, scores > 0.8)
    assert got.detected == pytest.approx(float((scores[anomalous] > 0.8).double().mean()))
    assert got.pixel_auroc == roc_auc_score(masks.ravel(), maps.ravel())
    assert got.aupro == pytest.approx(plain_aupro(maps.numpy(), masks.numpy(), 0.3))


def test_without_a_threshold_maps_or_masks_there_are_no_figures_of_these():
    scores, anomalous, maps, masks = sample()
    got = measure_detection(scores, anomalous, maps=maps)
    assert (got.f1, got.detected, got.pixel_auroc, got.aupro) == (None,) * 4
    assert measure_detection(scores, anomalous, masks=masks).pixel_auroc is None


def test_large_maps_are_thinned(monkeypatch):
    scores, anomalous, maps, masks = sample()
    monkeypatch.setattr(detection, "MOST_PIXELS", 600 // 4)
    got = measure_detection(scores, anomalous, maps=maps, masks=masks)
    assert got.pixel_auroc == roc_auc_score(masks[:, ::2, ::2].ravel(), maps[:, ::2, ::2].ravel())


@pytest.mark.parametrize(
    ("scores", "anomalous", "message"),
    [
        ([1.0, 2.0], [False, False], "all 2 images are normal"),
        ([1.0, 2.0], [True, True], "all 2 images are anomalous"),
        ([1.0, float("nan")], [False, True], "NaN or infinity"),
    ],
)
def test_figures_need_finite_scores_of_both_kinds(scores, anomalous, message):
    with pytest.raises(DataError, match=message):
        measure_detection(torch.tensor(scores), torch.tensor(anomalous))


def test_the_alarm_rate_counts_normal_images_above_the_threshold():
    scores, anomalous, _, _ = sample()
    got = alarm_rate(scores, anomalous, threshold=0.5, calibration=99, rate=0.05)
    assert got.observed == pytest.approx(float((scores[~anomalous] > 0.5).double().mean()))
    assert got.expected == 0.05
    assert got.likely[0] <= 0.05 <= got.likely[1]


def test_the_expected_alarm_rate_and_its_range_are_those_of_many_calibrations():
    count, tested, rate = 59, 200, 0.05
    draws = random().random((4000, count + tested))
    held, new = draws[:, :count], draws[:, count:]
    rank = int(np.ceil((count + 1) * (1 - rate)))
    thresholds = np.sort(held, axis=1)[:, rank - 1]
    observed = (new > thresholds[:, None]).mean(1)
    normal = torch.zeros(tested, dtype=torch.bool)
    got = alarm_rate(torch.rand(tested), normal, threshold=0.5, calibration=count, rate=rate)
    assert got.expected == pytest.approx(observed.mean(), abs=0.003)
    inside = (observed >= got.likely[0]) & (observed <= got.likely[1])
    assert 0.94 < inside.mean() < 0.98


def test_each_baseline_tells_noise_from_one_pattern():
    noise = torch.from_numpy(random().integers(0, 256, (100, 1, 8, 9)))
    pattern = (torch.arange(72).view(1, 1, 8, 9) * 3 + noise[:80] // 8).to(torch.uint8)
    normal, images = pattern[:60], torch.cat((pattern[60:], noise[80:].to(torch.uint8)))
    anomalous = torch.arange(40) >= 20
    found = dict(detection_baselines(normal, images, 9))
    assert list(found) == ["PCA-9", "2 nearest neighbours", "one-class SVM"]
    for name, scores in found.items():
        assert measure_detection(scores, anomalous).auroc > 0.8, name


def test_baselines_of_a_few_large_images_use_what_there_is():
    images = torch.from_numpy(random().integers(0, 256, (3, 3, 90, 130))).to(torch.uint8)
    found = dict(detection_baselines(images, images, 200))
    assert list(found) == ["PCA-3", "2 nearest neighbours", "one-class SVM"]
    assert all(len(scores) == 3 and scores.isfinite().all() for scores in found.values())

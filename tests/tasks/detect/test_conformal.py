"""The threshold of held-out normal scores."""

import numpy as np
import pytest

from convae_zoo.errors import InputError
from convae_zoo.tasks.detect import conformal

SCORES = np.random.default_rng(0).permutation(np.arange(1, 100)).astype(np.float32)


@pytest.mark.parametrize(
    ("alarm_rate", "rank"), [(0.01, 99), (0.0101, 99), (0.05, 95), (0.051, 95), (0.5, 50)]
)
def test_the_threshold_is_the_conformal_quantile(alarm_rate, rank):
    """ceil((n + 1)(1 - alpha)) of n = 99 scores that equal their ranks."""
    assert conformal.threshold(SCORES, alarm_rate) == rank


@pytest.mark.parametrize("alarm_rate", [0.01, 0.03, 0.05, 0.07, 0.1, 0.15, 0.25, 1 / 3, 0.5, 0.9])
def test_as_many_images_as_are_needed_are_enough_and_one_fewer_is_not(alarm_rate):
    needed = conformal.needed(alarm_rate)
    assert conformal.threshold(SCORES[:needed], alarm_rate) == SCORES[:needed].max()
    told = rf"needs {needed} held-out normal images and there are {needed - 1}, 1 too few"
    with pytest.raises(InputError, match=told):
        conformal.threshold(SCORES[: needed - 1], alarm_rate)


@pytest.mark.parametrize("alarm_rate", [0, 1, -0.1, 2, float("nan"), "5%", None])
def test_a_rate_that_is_no_share_is_refused(alarm_rate):
    with pytest.raises(InputError, match="alarm_rate must be above 0 and below 1, got"):
        conformal.check_rate(alarm_rate)


@pytest.mark.parametrize("alarm_rate", [0.05, 0.1])
def test_at_most_the_alarm_rate_of_new_normal_scores_is_above_the_threshold(alarm_rate):
    draw = np.random.default_rng(1)
    scores = draw.lognormal(size=(4000, 60)).astype(np.float32)
    alarms = [row[50:] > conformal.threshold(row[:50], alarm_rate) for row in scores]
    exact = 1 - np.ceil(51 * (1 - alarm_rate)) / 51
    assert np.mean(alarms) == pytest.approx(exact, abs=0.004)
    assert exact <= alarm_rate


def test_p_values_count_the_held_out_scores_that_are_as_high():
    held_out = np.array([1, 2, 2, 4], dtype=np.float32)
    found = conformal.p_values(held_out, np.array([0, 1, 2, 3, 4, 5], dtype=np.float32))
    assert found.tolist() == [1, 1, 0.8, 0.4, 0.4, 0.2]


def test_a_p_value_is_at_most_the_rate_where_the_score_is_above_the_threshold():
    scores = np.linspace(0, 120, 500).astype(np.float32)
    for alarm_rate in (0.01, 0.02, 0.1, 0.37):
        above = scores > conformal.threshold(SCORES, alarm_rate)
        assert (above == (conformal.p_values(SCORES, scores) <= alarm_rate + 1e-12)).all()

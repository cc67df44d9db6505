"""The detector is a scikit-learn outlier detector: its own checks, pipelines and searches."""

import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import convae_zoo as zoo

TINY = {
    "model": "convae-200",
    "score": "reconstruction",
    "overrides": {"width": 2, "latent_dim": 4},
    "changes": {"epochs": 1},
    "device": "cpu",
}

_NO_METHOD = "`score` is an argument; an outlier detector of scikit-learn has no such method either"
EXPECTED = {
    "check_fit_score_takes_y": _NO_METHOD,
    "check_n_features_in_after_fitting": _NO_METHOD,
    "check_pipeline_consistency": _NO_METHOD,
}
"""Checks that cannot pass, each with the reason."""


@parametrize_with_checks(
    [zoo.AnomalyDetector(image_shape=(1, 1, -1), alarm_rate=0.2, **TINY)],
    expected_failed_checks=lambda _: EXPECTED,
    xfail_strict=True,
)
def test_scikit_learn_accepts_the_detector(estimator, check):
    check(estimator)


def test_at_most_five_checks_do_not_apply():
    assert len(EXPECTED) <= 5


@pytest.fixture(scope="module")
def digits():
    """Rows of 8×8 pixels in 0…16, of scikit-learn's digits; +1 for the normal zeros, else -1."""
    rows, labels = load_digits(return_X_y=True)
    keep = (labels == 0) | (labels % 3 == 1)
    return rows[keep], (labels[keep] == 0) * 2 - 1


DIGITS = zoo.AnomalyDetector(
    "convae-200",
    score="reconstruction",
    image_shape=(1, 8, 8),
    alarm_rate=0.1,
    overrides={"width": 4, "latent_dim": 8},
    changes={"epochs": 8, "batch_size": 16},
    device="cpu",
)


class OnNormal(zoo.AnomalyDetector):
    """Fitted to the images with y = 1 alone, as splitters pass all of them."""

    def fit(self, X, y):  # noqa: N803 - scikit-learn's name
        return super().fit(X[y == 1])


def test_a_pipeline_finds_other_digits(digits):
    rows, y = digits
    detector = make_pipeline(MinMaxScaler(), clone(DIGITS))
    normal = rows[y == 1]
    detector.fit(normal[:120])
    assert roc_auc_score(y, detector.decision_function(rows)) > 0.9
    assert set(detector.predict(rows)) == {-1, 1}


def test_cross_validation_and_grid_search_run_on_digits(digits):
    rows, y = digits
    detector = OnNormal(**DIGITS.get_params())
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    found = cross_val_score(detector, rows, y, scoring="roc_auc", cv=folds)
    assert found.shape == (2,)
    assert found.mean() > 0.9
    scores = ["reconstruction", "mahalanobis"]
    search = GridSearchCV(detector, {"score": scores}, scoring="balanced_accuracy", cv=folds)
    search.fit(rows, y)
    assert search.best_params_["score"] in scores
    assert search.best_score_ > 0.6

"""Figures of a detector: how well its scores and maps tell anomalous images from normal ones."""

import math

import attrs
import numpy as np
from scipy.stats import betabinom
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from torch import Tensor

from convae_zoo.errors import DataError
from convae_zoo.evaluation.regions import aupro

MOST_PIXELS = 2**25
"""Pixels that are sorted at most; of larger sets of maps every k-th row and column is taken."""

LIKELY = 0.95

_ROUNDING = 1e-9  # n + 1 times a rate is a whole number for many pairs, such as 100 × 0.01


@attrs.frozen(kw_only=True)
class AlarmRate:
    """The false-alarm rate, observed and promised.

    Attributes:
        observed: the fraction of the normal images above the threshold.
        expected: its expected value: 1 - k/(n+1), where the threshold is the k-th smallest score
            of n held-out normal images.
        likely: the range in which it lies with 95% probability, if the images are exchangeable
            with the held-out ones.
    """

    observed: float
    expected: float
    likely: tuple[float, float]


@attrs.frozen(kw_only=True)
class DetectionMetrics:
    """How well anomalous images are told from normal ones.

    Attributes:
        auroc: area under the ROC curve.
        average_precision: area under the precision-recall curve, as scikit-learn computes it.
        f1: F1 at the threshold; None without one.
        detected: the fraction of the anomalous images above the threshold; None without one.
        pixel_auroc: of all pixels, against the masks; None without maps or masks.
        aupro: area under the per-region-overlap curve up to 30% false positives; None without maps
            or masks.
    """

    auroc: float
    average_precision: float
    f1: float | None = None
    detected: float | None = None
    pixel_auroc: float | None = None
    aupro: float | None = None


def measure_detection(
    scores: Tensor,
    anomalous: Tensor,
    *,
    threshold: float | None = None,
    maps: Tensor | None = None,
    masks: Tensor | None = None,
) -> DetectionMetrics:
    """Measure scores, and maps where there are masks.

    Args:
        scores: float, N; higher is more anomalous.
        anomalous: bool, N.
        threshold: an image with a higher score is an alarm.
        maps: float, N×H×W; higher is more anomalous.
        masks: bool, N×H×W.

    Raises:
        DataError: the images are all normal or all anomalous, or a score is not finite.
    """
    truth, values = anomalous.cpu().numpy(), scores.detach().double().cpu().numpy()
    if not 0 < truth.sum() < len(truth):
        kind = "anomalous" if truth.any() else "normal"
        raise DataError(f"all {len(truth)} images are {kind}; figures need both kinds")
    if not np.isfinite(values).all():
        raise DataError("scores hold NaN or infinity")
    alarms = None if threshold is None else values > threshold
    pixels: dict[str, float | None] = {}
    if maps is not None and masks is not None and bool(masks.any()):
        thin = math.ceil(math.sqrt(masks.numel() / MOST_PIXELS))
        found = maps[:, ::thin, ::thin].detach().float().cpu().numpy()
        where = masks[:, ::thin, ::thin].cpu().numpy()
        if not np.isfinite(found).all():
            raise DataError("anomaly maps hold NaN or infinity")
        if where.any():
            pixels["pixel_auroc"] = float(roc_auc_score(where.ravel(), found.ravel()))
            pixels["aupro"] = aupro(found, where)
    return DetectionMetrics(
        auroc=float(roc_auc_score(truth, values)),
        average_precision=float(average_precision_score(truth, values)),
        f1=None if alarms is None else float(f1_score(truth, alarms)),
        detected=None if alarms is None else float(alarms[truth].mean()),
        **pixels,
    )


def alarm_rate(
    scores: Tensor, anomalous: Tensor, *, threshold: float, calibration: int, rate: float
) -> AlarmRate:
    """Compare the false-alarm rate with the one that a split-conformal threshold promises.

    Args:
        scores: float, N; higher is more anomalous.
        anomalous: bool, N; some are normal.
        threshold: the ceil((n+1)(1-rate))-th smallest score of n held-out normal images.
        calibration: n.
        rate: the promised rate.
    """
    normal = scores[~anomalous]
    above = max(1, math.floor((calibration + 1) * rate + _ROUNDING))
    low, high = betabinom.interval(LIKELY, len(normal), above, calibration + 1 - above)
    return AlarmRate(
        observed=float((normal > threshold).double().mean()),
        expected=above / (calibration + 1),
        likely=(float(low) / len(normal), float(high) / len(normal)),
    )

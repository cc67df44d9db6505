"""AUPRO: how well the regions of defects are covered, against false-positive pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FALSE_POSITIVES = 0.3
"""The false-positive rate up to which the curve is integrated, as in MVTec AD's evaluation."""

_NEIGHBOURS = np.ones((3, 3), int)  # pixels that touch at a corner belong together


def aupro(maps: NDArray[Any], masks: NDArray[Any], limit: float = FALSE_POSITIVES) -> float | None:
    """Return the area under the per-region-overlap curve, from 0 to 1.

    At a threshold the overlap is the mean, over all connected regions of the masks, of the part of
    the region that is above it; the false-positive rate is the part of all normal pixels. The curve
    is integrated up to a rate of `limit` and divided by it. Every region counts alike, however
    large. Source: Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021.

    Args:
        maps: anomaly maps, float N×H×W; higher is more anomalous.
        masks: bool N×H×W, true where an image is anomalous.
        limit: the highest false-positive rate, above 0 to 1.

    Returns:
        The area; None where all pixels or none are anomalous.
    """
    weights = _region_weights(masks)
    inside = weights > 0
    normal = inside.size - int(inside.sum())
    if normal in {0, inside.size}:
        return None
    order = np.argsort(maps, axis=None)[::-1]
    values = maps.reshape(-1)[order]
    overlap = np.cumsum(weights.reshape(-1)[order])
    false = np.cumsum(~inside.reshape(-1)[order]) / normal
    last = np.append(values[1:] != values[:-1], True)  # of equal values, which have one threshold
    rates = np.concatenate(([0.0], false[last]))
    overlaps = np.concatenate(([0.0], overlap[last]))
    end = int(np.searchsorted(rates, limit, side="right"))
    at_limit = np.interp(limit, rates, overlaps)
    x, y = np.append(rates[:end], limit), np.append(overlaps[:end], at_limit)
    return float(np.trapezoid(y, x) / limit)


def _region_weights(masks: NDArray[Any]) -> NDArray[np.float64]:
    """Give each pixel of a region 1 / (its region's pixels · regions), and 0 to normal pixels."""
    weights = np.zeros(masks.shape)
    regions = 0
    for mask, weight in zip(masks, weights, strict=True):
        labels, count = ndimage.label(mask, _NEIGHBOURS)
        regions += count
        weight[mask] = 1 / np.bincount(labels.ravel())[labels[mask]]
    return weights / max(1, regions)

"""A detector measured on a labelled dataset, beside baselines fitted to the same images."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import attrs
import torch
from torch import Tensor

from convae_zoo.data import ImageSet, pixels
from convae_zoo.data.one_class import anomalous, one_class
from convae_zoo.errors import DataError
from convae_zoo.evaluation.detection import (
    AlarmRate,
    DetectionMetrics,
    alarm_rate,
    measure_detection,
)
from convae_zoo.evaluation.detection_baselines import detection_baselines
from convae_zoo.tasks.detect.detector import AnomalyDetector

Progress = Callable[[str, int, int], object]
"""Called with a description of the current work, the images done, and their total."""


@attrs.frozen(kw_only=True, eq=False)
class Detection:
    """The result of `evaluate_detector`.

    Attributes:
        dataset: the dataset's name.
        split: the split that was measured.
        threshold: the score above which an image is an alarm.
        rate: the promised alarm rate.
        alarms: the false-alarm rate, observed and expected.
        detector: the detector's figures.
        baselines: figures of what was fitted to the same images, by name.
        scores: raw scores, float64, N; higher is more anomalous.
        anomalous: bool, N.
        maps: float32, N×H×W; None if the score gives none.
    """

    dataset: str
    split: str
    threshold: float
    rate: float
    alarms: AlarmRate
    detector: DetectionMetrics
    baselines: dict[str, DetectionMetrics]
    scores: Tensor
    anomalous: Tensor
    maps: Tensor | None

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values, without scores and maps."""
        return {
            "dataset": self.dataset,
            "split": self.split,
            "images": len(self.scores),
            "anomalous": int(self.anomalous.sum()),
            "alarm_rate": self.rate,
            "threshold": self.threshold,
            "false_alarms": attrs.asdict(self.alarms),
            "detector": attrs.asdict(self.detector),
            "baselines": {name: attrs.asdict(found) for name, found in self.baselines.items()},
        }


def evaluate_detector(
    detector: AnomalyDetector,
    images: ImageSet,
    *,
    normal_class: str | int | None = None,
    train: ImageSet | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> Detection:
    """Measure a fitted detector on images with labels, and on their masks where they have any.

    Args:
        detector: fitted.
        images: normal and anomalous images.
        normal_class: the normal class, by name or number; by default the one called ``good``.
        train: images whose normal ones the baselines are fitted to; None for no baselines.
        progress: called as the work goes on; see `Progress`.

    Raises:
        UsageError: the images have no labels, or no such class.
        DataError: all images are normal or all anomalous, or do not fit the detector.
    """
    truth = anomalous(images, normal_class)
    given, expected = (
        "grey" if channels == pixels.GREY else "colour"
        for channels in (images.image_shape[0], detector.intake_.channels)
    )
    if given != expected:
        raise DataError(
            f"{images.name} has {given} images, but the detector was fitted to {expected} ones; "
            f"fit one to {given} images"
        )
    scores, maps = [], []
    for done, each in enumerate(detector.scored(images)):
        progress("scoring images", done, len(images))
        scores.append(each.score)
        if each.map is not None:
            maps.append(each.map)
    found, stacked = torch.tensor(scores).double(), torch.stack(maps) if maps else None
    rate, threshold = float(detector.alarm_rate), detector.threshold_
    metrics = measure_detection(found, truth, threshold=threshold, maps=stacked, masks=images.masks)
    baselines = {}
    if train is not None:
        progress("fitting baselines", 0, 0)
        floats = math.prod(detector.model_.latent_shape)
        known = one_class(train, normal_class).fitted(images.image_shape)
        for name, other in detection_baselines(known.images, images.images, floats):
            baselines[name] = measure_detection(other, truth)
    return Detection(
        dataset=images.name,
        split=images.split,
        threshold=threshold,
        rate=rate,
        alarms=alarm_rate(
            found,
            truth,
            threshold=threshold,
            calibration=detector.n_calibration_,
            rate=rate,
        ),
        detector=metrics,
        baselines=baselines,
        scores=found,
        anomalous=truth,
        maps=stacked,
    )


def examples(images: ImageSet, count: int) -> Tensor:
    """Choose images of all classes in turn, the first one of each class first: indices, int64."""
    labels = torch.zeros(len(images)) if images.labels is None else images.labels
    classes = [(labels == label).nonzero()[:, 0].tolist() for label in torch.unique(labels)]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*classes))
    return torch.tensor([index for index in turns if index is not None][:count])


def worst_misses(found: Detection, count: int) -> Tensor:
    """Choose the images that a detector was most wrong about: indices, int64.

    These are the missed anomalies with the lowest scores and the false alarms with the highest, in
    turns; where there are too few of them, the nearest to the threshold on the right side.
    """
    missed = found.anomalous.nonzero()[:, 0]
    missed = missed[found.scores[missed].argsort()]
    false = (~found.anomalous).nonzero()[:, 0]
    false = false[found.scores[false].argsort(descending=True)]
    half = count // 2
    first = missed[: max(half, count - len(false))]
    return torch.cat((first, false[: count - len(first)]))

"""Finds anomalies in a picture, with a saved detector or with an example."""

import copy
from pathlib import Path

import attrs
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from convae_zoo.app.result import MAX_PIXELS, Result, read_picture
from convae_zoo.data import load_dataset
from convae_zoo.tasks.detect import AnomalyDetector, conformal
from convae_zoo.tasks.detect.example import DATASET
from convae_zoo.tasks.detect.fitted import Scored
from convae_zoo.visuals.heatmap import draw_heatmap

_EXAMPLES = 8  # pictures, in one row


@attrs.frozen(eq=False)
class Finding:
    """A picture that was scored, before the threshold is applied.

    Attributes:
        detector: a copy of its own, whose alarm rate may be changed.
        picture: uint8 C×H×W.
        scored: the result.
    """

    detector: AnomalyDetector
    picture: Tensor
    scored: Scored


def score_picture(
    detector: AnomalyDetector, path: Path, *, max_pixels: int = MAX_PIXELS
) -> Finding:
    """Score a picture as the detector does.

    Args:
        detector: fitted.
        path: of the picture.
        max_pixels: a picture with more is refused.

    Raises:
        ZooError: the picture cannot be read or has another form than the detector's, or the model
            fails.
    """
    read_picture(path, max_pixels)
    detector = copy.copy(detector)
    picture = detector.intake_.pictures(detector, [path])[0]
    (scored,) = detector.scored([picture])
    return Finding(detector, picture, scored)


def judge(finding: Finding, alarm_rate: float) -> Result:
    """Apply the threshold of an alarm rate.

    Args:
        finding: the scored picture.
        alarm_rate: the share of normal pictures that may be flagged.

    Raises:
        InputError: too few pictures were held out for the rate.
    """
    detector, scored = finding.detector, finding.scored
    detector.alarm_rate = alarm_rate
    threshold, level = detector.threshold_, detector.calibration_.level
    (p_value,) = conformal.p_values(detector.calibration_scores_, np.array([scored.score]))
    heat, marked = torch.zeros(finding.picture.shape[1:]), detector.map_threshold_ or 1.0
    share = ""
    if scored.map is not None:
        heat = scored.map
        share = f"{float((heat > marked).float().mean()):.2%} of the pixels"
    drawn = draw_heatmap(finding.picture, heat, level, marked)
    return Result(
        before=_image(finding.picture),
        after=_image(drawn),
        figures=(
            ("Verdict", "anomalous" if scored.score > threshold else "normal"),
            ("Score", f"{scored.score:.4g}"),
            ("Threshold", f"{threshold:.4g}"),
            ("p-value", f"{p_value:.4f}"),
            ("Marked", share or "this score has no map"),
        ),
    )


def example_pictures(folder: Path) -> list[Path]:
    """Write pictures of the example's dataset, some of each class, as PNG files.

    Raises:
        ZooError: the dataset is not installed.
    """
    test = load_dataset(DATASET, split="test")
    paths = []
    for index in test.exemplars(_EXAMPLES).tolist():
        paths.append(folder / f"{index:02}-{test.label_name(index)}.png")
        _image(test.images[index]).save(paths[-1])
    return paths


def _image(picture: Tensor) -> Image.Image:
    array = picture.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)

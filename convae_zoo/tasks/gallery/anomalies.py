"""A detector at work: defects of a texture that it knows only without them."""

import torch

from convae_zoo.data import load_dataset
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.registry import list_models
from convae_zoo.tasks.detect import AnomalyDetector
from convae_zoo.tasks.detect.example import DATASET, fit_example
from convae_zoo.visuals.gallery.content import Heatmaps
from convae_zoo.visuals.heatmap import draw_heatmap

_PER_CLASS = 2  # pictures shown
_MODEL = "linear-residual-200"  # trained on the texture's own tiles, in half a minute
_SCORE, _TILE = "reconstruction(smoothing=2)", {"image_size": 16}


def show_defects(name: str, model: Autoencoder, device: str) -> Heatmaps:
    """Fit a detector on normal pictures, and score some of each kind of defect.

    It trains a small model on them; if that model is not installed, the given one is used as it is.

    Args:
        name: of the given model's weights.
        model: the given model.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ZooError: the dataset or its score is not installed, or the model cannot be used.
    """
    test = load_dataset(DATASET, split="test")
    classes = test.exemplars(len(test.class_names)).tolist()
    tested = [index + number * len(classes) for number in range(_PER_CLASS) for index in classes]
    if is_trained := _MODEL in list_models():
        detector = AnomalyDetector(
            _MODEL, overrides=_TILE, score=_SCORE, alarm_rate=0.01, device=device
        ).fit(load_dataset(DATASET, split="train"))
    else:
        detector = fit_example(model, device)
    pairs, notes, ratios = [], [], []
    images = test.images[tested]
    for index, image, scored in zip(tested, images, detector.scored(images), strict=True):
        ratio = scored.score / detector.threshold_
        heat = torch.zeros(image.shape[1:]) if scored.map is None else scored.map
        level, threshold = detector.calibration_.level, detector.map_threshold_ or 1.0
        pairs.append((image, draw_heatmap(image, heat, level, threshold)))
        ratios.append(ratio)
        verdict = "flagged" if ratio > 1 else "passed"
        notes.append(f"{test.label_name(index)}: {ratio:.2f} of the threshold, {verdict}")
    used = _MODEL if is_trained else name
    return Heatmaps(
        title=f"A detector with {used}, fitted on pictures without defects",
        pairs=tuple(pairs),
        notes=tuple(notes),
        best=ratios.index(max(ratios)),
    )

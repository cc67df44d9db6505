"""A detector at work: defects of a texture that it knows only without them."""

import torch

from convae_zoo.data import load_dataset
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.tasks.detect.example import DATASET, fit_example
from convae_zoo.visuals.gallery.content import Heatmaps
from convae_zoo.visuals.heatmap import draw_heatmap

_PER_CLASS = 2  # pictures shown


def show_defects(name: str, model: Autoencoder, device: str) -> Heatmaps:
    """Fit a detector on normal pictures, and score some of each kind of defect.

    Args:
        name: of the model's weights.
        model: used as it is.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ZooError: the dataset or its score is not installed, or the model cannot be used.
    """
    test = load_dataset(DATASET, split="test")
    classes = test.exemplars(len(test.class_names)).tolist()
    tested = [index + number * len(classes) for number in range(_PER_CLASS) for index in classes]
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
    return Heatmaps(
        title=f"A detector with {name}, fitted on pictures without defects",
        pairs=tuple(pairs),
        notes=tuple(notes),
        best=ratios.index(max(ratios)),
    )

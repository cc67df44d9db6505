"""A detector without data of one's own: of defects drawn into photographs of a wall."""

from convae_zoo.data import load_dataset
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.tasks.detect.detector import AnomalyDetector

DATASET = "defects"
"""Photographs of a texture, with drawn defects in the split ``test``."""

SCORE = "reconstruction(smoothing=1, top=0.02)"
"""It needs no fit; with the weights for photographs it flags four of five of the defects."""


def fit_example(model: Autoencoder | str, device: str = "auto") -> AnomalyDetector:
    """Fit a detector on the normal pictures of the dataset `DATASET`, which takes seconds.

    Args:
        model: trained weights by name, or a model in memory; used as it is.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ZooError: the dataset or its score is not installed, or the model cannot be used.
    """
    detector = AnomalyDetector(model, score=SCORE, train=False, alarm_rate=0.05, device=device)
    return detector.fit(load_dataset(DATASET, split="train"))

"""Fitted detectors, which tests must not change."""

import pytest

import convae_zoo as zoo
from detectors import FAST, smooth


@pytest.fixture(scope="session")
def normal():
    return smooth(60)


@pytest.fixture(scope="session")
def detector(normal):
    """A detector fitted to whole grey images 8×8."""
    return zoo.AnomalyDetector(**FAST).fit(normal)


@pytest.fixture(scope="session")
def tiled():
    """A detector fitted to tiles of 16×16 of colour pictures."""
    overrides = FAST["overrides"] | {"image_size": 16}
    longer = {"overrides": overrides, "changes": {"epochs": 8}}
    return zoo.AnomalyDetector(**FAST | longer).fit(smooth(20, size=40, channels=3))

"""Fitted detectors, which tests must not change."""

import pytest

import detectors


@pytest.fixture(scope="session")
def normal():
    return detectors.smooth(60)


@pytest.fixture(scope="session")
def detector():
    """A detector fitted to whole grey images 8×8."""
    return detectors.whole()


@pytest.fixture(scope="session")
def tiled():
    """A detector fitted to tiles of 16×16 of colour pictures."""
    return detectors.tiled()

"""Anomaly detection: pictures that differ from the normal ones that a detector was fitted to."""

from convae_zoo.tasks.detect.detector import AnomalyDetector

__all__ = ["AnomalyDetector"]

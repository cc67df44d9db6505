"""Evaluation: metrics of a model on a dataset, beside PCA of the same latent size."""

from convae_zoo.evaluation.measure import Evaluation, evaluate
from convae_zoo.evaluation.metrics import Metrics

__all__ = ["Evaluation", "Metrics", "evaluate"]

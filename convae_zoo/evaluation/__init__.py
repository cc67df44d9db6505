"""Evaluation: metrics of a model on a dataset, compared with PCA of the same latent size."""

from convae_zoo.evaluation.measure import Evaluation, evaluate
from convae_zoo.evaluation.metrics import Metrics
from convae_zoo.evaluation.pca import Baseline, fit_pca, fitted_images
from convae_zoo.evaluation.records import Records

__all__ = ["Baseline", "Evaluation", "Metrics", "Records", "evaluate", "fit_pca", "fitted_images"]

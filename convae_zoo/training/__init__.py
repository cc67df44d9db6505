"""Training: a recipe, the loop, the optimiser step, and what a run leaves behind."""

from convae_zoo.training.run import TrainResult, train

__all__ = ["TrainResult", "train"]

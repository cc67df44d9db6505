"""Training: recipe, loop, history, run folder; the engine that makes a step."""

from convae_zoo.training.train import TrainResult, train

__all__ = ["TrainResult", "train"]

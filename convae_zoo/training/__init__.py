"""Training: recipe, loop, history, run folder; the engine that makes a step."""

from convae_zoo.training.run import TrainResult, train

__all__ = ["TrainResult", "train"]

"""The choices of the default detector; what they reach is measured in ``benchmarks/``."""

from collections.abc import Mapping
from typing import Any

from convae_zoo.registry.specs import Recipe

MODEL = "residual-200"
SCORE = "combined"

MODEL_CONFIG: Mapping[str, Any] = {}
"""Config values of `MODEL`, besides the pictures' channels and size."""

RECIPE = Recipe(
    loss="mse",
    epochs=4,
    batch_size=64,
    learning_rate=0.02,
    schedule="linear",
    warmup_steps=50,
    optimizer="muon",
    shuffle=True,
)
"""How the model is trained on the normal images."""

HELD_OUT = 0.2
"""The share of the normal images that is held out for the threshold; more if the rate needs it."""

MOST_HELD_OUT = 0.5
"""The largest share of the normal images that may be held out."""

TRAINING_TILES = 20_000
"""The most tiles that the model and the score are fitted to."""

VALIDATION = 256
"""The most held-out images on which the loss is measured after an epoch."""

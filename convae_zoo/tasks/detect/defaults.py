"""The choices of the default detector; what they reach is measured in ``benchmarks/``."""

from collections.abc import Mapping
from typing import Any

from convae_zoo.registry.specs import Recipe

MODEL = "linear-residual-200"
SCORE = "combined"

MODEL_CONFIG: Mapping[str, Any] = {"latent_dim": 64, "width": 16, "depth": 1, "hidden": 256}
"""Config values of `MODEL`, besides the pictures' channels and size.

A small bottleneck, that starts as principal components: more freedom reconstructs anomalies too.
"""

MODEL_RECIPE = Recipe(
    loss="mse",
    epochs=2,
    batch_size=64,
    learning_rate=5e-4,
    schedule="cosine",
    warmup_steps=50,
    optimizer="adam",
    shuffle=True,
    corruption="gaussian(sigma=64)",
)
"""How `MODEL` is trained on the normal images.

From strong noise, so that it learns what is normal: trained on clean images, it soon reconstructs
anomalies too.
"""

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
"""How any other model is trained on the normal images."""

HELD_OUT = 0.2
"""The share of the normal images that is held out for the threshold; more if the rate needs it."""

MOST_HELD_OUT = 0.5
"""The largest share of the normal images that may be held out."""

TRAINING_TILES = 20_000
"""The most tiles that the model and the score are fitted to."""

VALIDATION = 256
"""The most held-out images on which the loss is measured after an epoch."""


def model_config(values: int) -> Mapping[str, Any]:
    """Return `MODEL_CONFIG` for images of that many values: a latent has no more floats."""
    return {**MODEL_CONFIG, "latent_dim": min(MODEL_CONFIG["latent_dim"], values)}

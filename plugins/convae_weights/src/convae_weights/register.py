"""What the plugin registers: trained weights, and tags that are not trained yet; no torch here."""

import attrs
from convae_architectures.register import DEEP
from convae_architectures.register import FAST as FROM_PCA
from convae_reference.register import FAST, PHOTOS

from convae_zoo import Recipe, Registrar, WeightsSpec, hookimpl, shipped_weights

MUON = attrs.evolve(FAST, warmup_steps=100)
"""The recipe of the Fashion-MNIST files that Muon trained in two epochs."""

AUGMENTED = attrs.evolve(FROM_PCA, epochs=8, augment="dihedral-colours")
"""The recipe of ``linear-residual-200.photos``: few photographs are soon memorised."""

DENOISING = Recipe(
    loss="mse",
    epochs=100,
    batch_size=16,
    learning_rate=0.008,
    schedule="linear",
    warmup_steps=100,
    optimizer="muon(weight_decay=0.2)",
    shuffle=True,
    augment="dihedral",
    corruption="gaussian(sigma=0:55)",
)
"""What the file of ``unet-denoiser.photographs`` states; the command in its card trained it."""

DEEP_AUGMENTED = attrs.evolve(DEEP, epochs=16, augment="dihedral-colours")
"""The recipe of ``deep-residual-200.photos``."""

FAST_PHOTOS = attrs.evolve(PHOTOS, epochs=6)
"""The recipe of ``convae-1000.photos``."""

WEIGHTS = (
    WeightsSpec(model="convae-200", tag="fashion-mnist", dataset="fashion-mnist", recipe=MUON),
    WeightsSpec(model="convae-200", tag="cifar10", dataset="cifar10"),
    WeightsSpec(model="convae-1000", tag="photos", dataset="photos", recipe=FAST_PHOTOS),
    WeightsSpec(model="convae-1000", tag="fashion-mnist", dataset="fashion-mnist", recipe=MUON),
    WeightsSpec(model="convae-1000", tag="cifar10", dataset="cifar10"),
    WeightsSpec(model="deep-residual-200", tag="photos", dataset="photos", recipe=DEEP_AUGMENTED),
    WeightsSpec(model="deep-residual-200", tag="fashion-mnist", dataset="fashion-mnist"),
    WeightsSpec(model="linear-residual-200", tag="photos", dataset="photos", recipe=AUGMENTED),
    WeightsSpec(model="linear-residual-200", tag="fashion-mnist", dataset="fashion-mnist"),
    WeightsSpec(model="linear-residual-200", tag="cifar10", dataset="cifar10"),
    WeightsSpec(model="variational-200", tag="fashion-mnist", dataset="fashion-mnist"),
    WeightsSpec(model="unet-denoiser", tag="photographs", dataset="image-folder", recipe=DENOISING),
)
"""The recipe is given where it differs from the model's."""


@hookimpl
def register_weights(register: Registrar[WeightsSpec]) -> None:
    """Register the weights, each with its file and its metrics where it is trained."""
    shipped = shipped_weights("convae_weights")
    for spec in WEIGHTS:
        register(shipped.fill(spec.model, spec))

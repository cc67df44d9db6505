"""What the plugin registers; no torch here."""

import attrs

from convae_reference.configs import ConvaeConfig
from convae_zoo import (
    DecoderSpec,
    EncoderSpec,
    LossSpec,
    ModelSpec,
    Recipe,
    Registrar,
    WeightsSpec,
    hookimpl,
    shipped_weights,
)

ARTICLE = Recipe(
    loss="mse",
    epochs=10,
    batch_size=64,
    learning_rate=1e-3,
    optimizer="adam",
    shuffle=False,
)

FAST = Recipe(
    loss="mse",
    epochs=2,
    batch_size=48,
    learning_rate=0.015,
    schedule="linear",
    warmup_steps=30,
    optimizer="muon",
    shuffle=True,
)
"""The same network and loss, with Muon on all weight matrices and two epochs."""

PHOTOS = attrs.evolve(FAST, epochs=16, warmup_steps=100, augment="dihedral-colours")
"""`FAST`, longer, for few photographs with few colours."""

FEW_IMAGES = Recipe(
    loss="mse",
    epochs=8,
    batch_size=64,
    learning_rate=0.01,
    schedule="linear",
    warmup_steps=50,
    optimizer="muon",
    shuffle=True,
    augment="crop(scale=2:8, count=32) + flip",
)
"""For a few hundred pictures: from trained weights, on crops of the whole pictures."""


@hookimpl
def register_encoders(register: Registrar[EncoderSpec]) -> None:
    """Register the article's encoder."""
    register(
        EncoderSpec(
            name="convae",
            factory="convae_reference.encoder:ConvaeEncoder",
            config=ConvaeConfig,
            summary="six 3×3 convolutions and a linear bottleneck",
        )
    )


@hookimpl
def register_decoders(register: Registrar[DecoderSpec]) -> None:
    """Register the article's decoder."""
    register(
        DecoderSpec(
            name="convae",
            factory="convae_reference.decoder:ConvaeDecoder",
            config=ConvaeConfig,
            summary="a linear layer and six 3×3 transposed convolutions",
        )
    )


@hookimpl
def register_losses(register: Registrar[LossSpec]) -> None:
    """Register the article's loss."""
    register(
        LossSpec(
            name="mse",
            factory="convae_reference.loss:MSELoss",
            summary="mean squared error",
        )
    )


@hookimpl
def register_models(register: Registrar[ModelSpec]) -> None:
    """Register the two bottleneck sizes that the article compares."""
    photos = WeightsSpec(tag="photos", dataset="photos", recipe=PHOTOS)
    own = {200: [shipped_weights("convae_reference").fill("convae-200", photos)]}
    for latent_dim, parameters, flops in (
        (200, 1_786_795, 42_795_008),
        (1000, 8_341_195, 55_902_208),
    ):
        register(
            ModelSpec(
                name=f"convae-{latent_dim}",
                encoder="convae",
                decoder="convae",
                encoder_config={"latent_dim": latent_dim},
                decoder_config={"latent_dim": latent_dim},
                value_range=(-1.0, 1.0),
                recipe=ARTICLE,
                recipes={"fast": FAST, "few-images": FEW_IMAGES},
                weights=own.get(latent_dim, ()),
                weights_distribution="convae-zoo-weights",
                parameters=parameters,
                flops=flops,
                summary=f"the article's autoencoder, bottleneck {latent_dim}",
            )
        )

"""What the plugin registers; no torch here."""

from collections.abc import Mapping

import attrs

from convae_architectures.configs import (
    LinearResidualConfig,
    ResidualConfig,
    ResidualSpatialConfig,
    UNetConfig,
    UNetEncoderConfig,
    VariationalConfig,
    VectorQuantisedConfig,
)
from convae_zoo import DecoderSpec, EncoderSpec, ModelSpec, Recipe, Registrar, hookimpl

RECIPE = Recipe(
    loss="mse",
    epochs=10,
    batch_size=64,
    learning_rate=1e-3,
    schedule="cosine",
    warmup_steps=100,
    optimizer="adam",
    shuffle=True,
)

LONG = attrs.evolve(RECIPE, epochs=20, learning_rate=5e-4)
"""A start from PCA needs more epochs; at twice the learning rate it may lose that start."""

FAST = attrs.evolve(RECIPE, epochs=5, learning_rate=0.015, schedule="linear", optimizer="muon")
"""From PCA on Fashion-MNIST as good as `LONG`; a rate of 0.03 is safe, 0.08 diverges."""

DEEP = attrs.evolve(FAST, epochs=6, warmup_steps=50)
"""Six epochs of Muon: on Fashion-MNIST a third of the error of PCA with as many floats."""

SAMPLING = attrs.evolve(FAST, epochs=4, batch_size=48, learning_rate=0.01, warmup_steps=30)
"""Of the variational model; with its `_PRIOR`, samples of Fashion-MNIST look like clothes."""

_PRIOR = 1.5
"""beta: 0.02 reconstructs better, and its samples are noise; at 0.5 they mix several clothes."""

DENOISING = Recipe(
    loss="charbonnier",
    epochs=30,
    batch_size=8,
    learning_rate=0.008,
    schedule="linear",
    warmup_steps=100,
    optimizer="muon(weight_decay=0.2)",
    shuffle=True,
    augment="crop(scale=2:4, count=64) + dihedral",
    corruption="gaussian(sigma=0:55)",
)
"""Crops of photographs that are scaled down by 2 to 4 have lost the camera's own noise."""


def _of_bottleneck(
    architecture: str,
    latent_dim: int,
    *,
    name: str = "",
    parts: Mapping[str, int] | None = None,
    parameters: int,
    flops: int,
    summary: str,
    recipe: Recipe = RECIPE,
    recipes: Mapping[str, Recipe] | None = None,
    weights_distribution: str = "",
) -> ModelSpec:
    config = {**(parts or {}), "latent_dim": latent_dim}
    return ModelSpec(
        name=name or f"{architecture}-{latent_dim}",
        encoder=architecture,
        decoder=architecture,
        encoder_config=config,
        decoder_config=config,
        recipe=recipe,
        recipes=recipes or {},
        weights_distribution=weights_distribution,
        parameters=parameters,
        flops=flops,
        summary=summary,
    )


MODELS = (
    _of_bottleneck(
        "residual",
        200,
        parameters=1_850_932,
        flops=46_661_632,
        summary="residual blocks, bottleneck 200",
    ),
    _of_bottleneck(
        "residual",
        1000,
        parameters=8_405_332,
        flops=59_768_832,
        summary="residual blocks, bottleneck 1000",
    ),
    _of_bottleneck(
        "residual",
        200,
        name="deep-residual-200",
        parts={"width": 48, "depth": 2},
        parameters=3_342_116,
        flops=184_811_520,
        summary="more and wider residual blocks than residual-200, trained with Muon",
        recipe=DEEP,
        weights_distribution="convae-zoo-weights",
    ),
    _of_bottleneck(
        "linear-residual",
        200,
        parameters=5_309_692,
        flops=71_254_016,
        summary="starts as PCA-200 and learns the residual PCA leaves",
        recipe=LONG,
        recipes={"fast": FAST},
        weights_distribution="convae-zoo-weights",
    ),
    _of_bottleneck(
        "linear-residual",
        1000,
        parameters=11_045_692,
        flops=82_722_816,
        summary="starts as PCA-1000 and learns the residual PCA leaves",
        recipe=LONG,
    ),
    ModelSpec(
        name="residual-spatial-192",
        encoder="residual-spatial",
        decoder="residual-spatial",
        encoder_config={"latent_channels": 3},
        decoder_config={"latent_channels": 3},
        recipe=RECIPE,
        parameters=210_223,
        flops=43_630_592,
        summary="residual blocks, latent 3×8×8",
    ),
    ModelSpec(
        name="variational-200",
        encoder="variational",
        decoder="residual",
        encoder_config={"latent_dim": 200, "beta": _PRIOR},
        decoder_config={"latent_dim": 200},
        recipe=SAMPLING,
        weights_distribution="convae-zoo-weights",
        parameters=2_670_332,
        flops=48_300_032,
        summary="variational, bottleneck 200; samples new images",
    ),
    ModelSpec(
        name="vector-quantised-512",
        encoder="vector-quantised",
        decoder="residual-spatial",
        encoder_config={"latent_channels": 16, "codes": 512},
        decoder_config={"latent_channels": 16},
        recipe=RECIPE,
        parameters=218_556,
        flops=45_744_128,
        summary="8×8 codes of 512: 72 bytes per image",
    ),
    ModelSpec(
        name="unet-denoiser",
        encoder="unet",
        decoder="unet",
        encoder_config={"image_size": 96},
        decoder_config={"image_size": 96},
        recipe=DENOISING,
        weights_distribution="convae-zoo-weights",
        parameters=2_631_168,
        flops=2_993_946_624,
        summary="denoises photographs of any size; blind to the noise level",
    ),
    ModelSpec(
        name="unet-denoiser-sigma",
        encoder="unet",
        decoder="unet",
        encoder_config={"image_size": 96, "takes_sigma": True},
        decoder_config={"image_size": 96},
        recipe=DENOISING,
        parameters=2_631_744,
        flops=2_996_600_832,
        summary="denoises photographs of any size; takes the noise level",
    ),
)


@hookimpl
def register_encoders(register: Registrar[EncoderSpec]) -> None:
    """Register the encoders."""
    register(
        EncoderSpec(
            name="residual",
            factory="convae_architectures.residual_encoder:ResidualEncoder",
            config=ResidualConfig,
            summary="residual blocks, space to depth, no activation on the latent",
        )
    )
    register(
        EncoderSpec(
            name="residual-spatial",
            factory="convae_architectures.residual_spatial_encoder:ResidualSpatialEncoder",
            config=ResidualSpatialConfig,
            summary="residual blocks, spatial latent",
        )
    )
    register(
        EncoderSpec(
            name="variational",
            factory="convae_architectures.variational_encoder:VariationalEncoder",
            config=VariationalConfig,
            summary="residual blocks, a sampled latent and its KL term",
        )
    )
    register(
        EncoderSpec(
            name="vector-quantised",
            factory="convae_architectures.vector_quantised_encoder:VectorQuantisedEncoder",
            config=VectorQuantisedConfig,
            summary="residual blocks, a latent of codes from a codebook",
        )
    )
    register(
        EncoderSpec(
            name="linear-residual",
            factory="convae_architectures.linear_residual_encoder:LinearResidualEncoder",
            config=LinearResidualConfig,
            summary="PCA, and a nonlinear path that starts at zero",
        )
    )
    register(
        EncoderSpec(
            name="unet",
            factory="convae_architectures.unet_encoder:UNetEncoder",
            config=UNetEncoderConfig,
            summary="three sizes of residual blocks; the latent holds the image",
        )
    )


@hookimpl
def register_decoders(register: Registrar[DecoderSpec]) -> None:
    """Register the decoders; the variational and quantised encoders use the residual ones."""
    register(
        DecoderSpec(
            name="residual",
            factory="convae_architectures.residual_decoder:ResidualDecoder",
            config=ResidualConfig,
            summary="residual blocks, sub-pixel upsampling",
        )
    )
    register(
        DecoderSpec(
            name="residual-spatial",
            factory="convae_architectures.residual_spatial_decoder:ResidualSpatialDecoder",
            config=ResidualSpatialConfig,
            summary="residual blocks, sub-pixel upsampling, spatial latent",
        )
    )
    register(
        DecoderSpec(
            name="linear-residual",
            factory="convae_architectures.linear_residual_decoder:LinearResidualDecoder",
            config=LinearResidualConfig,
            summary="inverse PCA, and a nonlinear path that starts at zero",
        )
    )
    register(
        DecoderSpec(
            name="unet",
            factory="convae_architectures.unet_decoder:UNetDecoder",
            config=UNetConfig,
            summary="subtracts the noise from the image in the latent",
        )
    )


@hookimpl
def register_models(register: Registrar[ModelSpec]) -> None:
    """Register the models."""
    for spec in MODELS:
        register(spec)

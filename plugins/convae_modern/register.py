"""What the plugin registers; no torch here."""

import attrs

from convae_modern.linear_residual.configs import LinearResidualConfig
from convae_modern.residual.configs import ResidualConfig
from convae_modern.residual_spatial.configs import ResidualSpatialConfig
from convae_modern.variational.configs import VariationalConfig
from convae_modern.vector_quantised.configs import VectorQuantisedConfig
from convae_zoo import hookimpl
from convae_zoo.hookspecs import Registrar
from convae_zoo.specs import DecoderSpec, EncoderSpec, ModelSpec, Recipe

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


LONG = attrs.evolve(RECIPE, epochs=20)
"""What starts as PCA goes on learning for longer."""


@hookimpl
def register_encoders(register: Registrar[EncoderSpec]) -> None:
    """Register the encoders."""
    register(
        EncoderSpec(
            name="residual",
            factory="convae_modern.residual.encoder:ResidualEncoder",
            config=ResidualConfig,
            summary="residual blocks, space to depth, no activation on the latent",
        )
    )
    register(
        EncoderSpec(
            name="residual-spatial",
            factory="convae_modern.residual_spatial.encoder:ResidualSpatialEncoder",
            config=ResidualSpatialConfig,
            summary="residual blocks, a latent with height and width",
        )
    )
    register(
        EncoderSpec(
            name="variational",
            factory="convae_modern.variational.encoder:VariationalEncoder",
            config=VariationalConfig,
            summary="residual blocks, a drawn latent and its KL term",
        )
    )
    register(
        EncoderSpec(
            name="vector-quantised",
            factory="convae_modern.vector_quantised.encoder:VectorQuantisedEncoder",
            config=VectorQuantisedConfig,
            summary="residual blocks, a latent of codes out of a codebook",
        )
    )
    register(
        EncoderSpec(
            name="linear-residual",
            factory="convae_modern.linear_residual.encoder:LinearResidualEncoder",
            config=LinearResidualConfig,
            summary="PCA, and a nonlinear path that starts at zero",
        )
    )


@hookimpl
def register_decoders(register: Registrar[DecoderSpec]) -> None:
    """Register the decoders; the variational and vector-quantised encoders share the residual."""
    register(
        DecoderSpec(
            name="residual",
            factory="convae_modern.residual.decoder:ResidualDecoder",
            config=ResidualConfig,
            summary="residual blocks, sub-pixel upsampling",
        )
    )
    register(
        DecoderSpec(
            name="residual-spatial",
            factory="convae_modern.residual_spatial.decoder:ResidualSpatialDecoder",
            config=ResidualSpatialConfig,
            summary="residual blocks, sub-pixel upsampling, of a latent with height and width",
        )
    )
    register(
        DecoderSpec(
            name="linear-residual",
            factory="convae_modern.linear_residual.decoder:LinearResidualDecoder",
            config=LinearResidualConfig,
            summary="PCA backwards, and a nonlinear path that starts at zero",
        )
    )


@hookimpl
def register_models(register: Registrar[ModelSpec]) -> None:
    """Register one model or two of each architecture."""
    for latent_dim in (200, 1000):
        register(
            ModelSpec(
                name=f"residual-{latent_dim}",
                encoder="residual",
                decoder="residual",
                encoder_config={"latent_dim": latent_dim},
                decoder_config={"latent_dim": latent_dim},
                recipe=RECIPE,
                summary=f"residual blocks, bottleneck {latent_dim}",
            )
        )
        register(
            ModelSpec(
                name=f"linear-residual-{latent_dim}",
                encoder="linear-residual",
                decoder="linear-residual",
                encoder_config={"latent_dim": latent_dim},
                decoder_config={"latent_dim": latent_dim},
                recipe=LONG,
                summary=f"starts as PCA-{latent_dim} and learns what PCA misses",
            )
        )
    register(
        ModelSpec(
            name="residual-spatial-192",
            encoder="residual-spatial",
            decoder="residual-spatial",
            encoder_config={"latent_channels": 3},
            decoder_config={"latent_channels": 3},
            recipe=RECIPE,
            summary="residual blocks, latent 3×8×8",
        )
    )
    register(
        ModelSpec(
            name="variational-200",
            encoder="variational",
            decoder="residual",
            encoder_config={"latent_dim": 200},
            decoder_config={"latent_dim": 200},
            recipe=RECIPE,
            summary="variational, bottleneck 200; draws new images",
        )
    )
    register(
        ModelSpec(
            name="vector-quantised-512",
            encoder="vector-quantised",
            decoder="residual-spatial",
            encoder_config={"latent_channels": 16, "codes": 512},
            decoder_config={"latent_channels": 16},
            recipe=RECIPE,
            summary="8×8 codes out of 512: 72 bytes an image",
        )
    )

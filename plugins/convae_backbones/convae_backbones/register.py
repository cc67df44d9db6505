"""What the plugin registers; no torch here."""

from convae_backbones.configs import BACKBONES, MirrorConfig
from convae_zoo import DecoderSpec, EncoderSpec, ModelSpec, Recipe, Registrar, hookimpl

RECIPE = Recipe(
    loss="mse",
    epochs=10,
    batch_size=16,
    learning_rate=1e-4,
    schedule="cosine",
    warmup_steps=50,
    optimizer="adam",
    shuffle=True,
)
"""A low rate: VGG-like networks without batch norms diverge at ten times it."""

COUNTED = {
    ("vgg16", 0): (33_700_995, 52_651_884_544),
    ("vgg16", 512): (59_416_707, 52_703_264_768),
    ("resnet18", 512): (55_878_531, 25_637_126_144),
    ("convnext_tiny", 512): (87_475_363, 31_150_740_992),
    ("efficientnet_b0", 512): (93_573_823, 23_472_705_984),
}
"""Parameters and FLOPs of each model, by its backbone and latent_dim."""


@hookimpl
def register_encoders(register: Registrar[EncoderSpec]) -> None:
    """Register an encoder for each backbone."""
    for name, config in BACKBONES.items():
        register(
            EncoderSpec(
                name=name,
                factory=f"convae_backbones.encoder:{name}",
                config=config,
                summary=f"the convolutional part of torchvision's {name}",
            )
        )


@hookimpl
def register_decoders(register: Registrar[DecoderSpec]) -> None:
    """Register the decoder, which fits every encoder."""
    register(
        DecoderSpec(
            name="vgg16-mirror",
            factory="convae_backbones.decoder:MirrorDecoder",
            config=MirrorConfig,
            summary="VGG-16 in reverse, with transposed convolutions for pooling",
        )
    )


@hookimpl
def register_models(register: Registrar[ModelSpec]) -> None:
    """Register VGG-16 without a bottleneck, and every backbone with one."""
    for (backbone, latent_dim), (parameters, flops) in COUNTED.items():
        config = BACKBONES[backbone](latent_dim=latent_dim)
        (floats,) = config.latent_shape
        latent = f"bottleneck {floats}" if latent_dim else f"{floats:,} features"
        register(
            ModelSpec(
                name=f"{backbone}-{floats}",
                encoder=backbone,
                decoder="vgg16-mirror",
                encoder_config={"latent_dim": latent_dim},
                decoder_config={"latent_dim": latent_dim, "channels": config.channels},
                recipe=RECIPE,
                parameters=parameters,
                flops=flops,
                summary=f"torchvision's {backbone} and a mirrored VGG-16, {latent}",
            )
        )

"""What the plugin registers; no torch here."""

from convae_corruptions.configs import (
    BlurConfig,
    DownscaleConfig,
    GaussianConfig,
    JPEGConfig,
    MaskConfig,
    PoissonConfig,
    SaltAndPepperConfig,
)
from convae_zoo import CorruptionSpec, Registrar, hookimpl


@hookimpl
def register_corruptions(register: Registrar[CorruptionSpec]) -> None:
    """Register the corruptions."""
    register(
        CorruptionSpec(
            name="gaussian",
            factory="convae_corruptions.gaussian:Gaussian",
            config=GaussianConfig,
            summary="Gaussian noise, not clipped",
        )
    )
    register(
        CorruptionSpec(
            name="poisson",
            factory="convae_corruptions.poisson:Poisson",
            config=PoissonConfig,
            summary="shot noise of a number of photons",
        )
    )
    register(
        CorruptionSpec(
            name="salt-and-pepper",
            factory="convae_corruptions.salt_and_pepper:SaltAndPepper",
            config=SaltAndPepperConfig,
            summary="random pixels turned black or white",
        )
    )
    register(
        CorruptionSpec(
            name="mask",
            factory="convae_corruptions.mask:Mask",
            config=MaskConfig,
            summary="random squares turned black",
        )
    )
    register(
        CorruptionSpec(
            name="blur",
            factory="convae_corruptions.blur:Blur",
            config=BlurConfig,
            summary="Gaussian blur",
        )
    )
    register(
        CorruptionSpec(
            name="jpeg",
            factory="convae_corruptions.jpeg:JPEG",
            config=JPEGConfig,
            summary="JPEG compression",
        )
    )
    register(
        CorruptionSpec(
            name="downscale",
            factory="convae_corruptions.downscale:Downscale",
            config=DownscaleConfig,
            summary="scaled down and up again",
        )
    )

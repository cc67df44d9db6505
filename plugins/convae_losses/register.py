"""What the plugin registers; no torch here."""

from convae_losses.configs import (
    AdversarialConfig,
    BCEConfig,
    CharbonnierConfig,
    FocalFrequencyConfig,
    LPIPSConfig,
    MSSSIMConfig,
    PerceptualConfig,
    SSIMConfig,
)
from convae_zoo import LossSpec, Registrar, hookimpl


@hookimpl
def register_losses(register: Registrar[LossSpec]) -> None:
    """Register the losses."""
    register(
        LossSpec(
            name="l1",
            factory="convae_losses.l1:L1Loss",
            summary="mean absolute error",
        )
    )
    register(
        LossSpec(
            name="charbonnier",
            factory="convae_losses.charbonnier:CharbonnierLoss",
            config=CharbonnierConfig,
            summary="absolute error, smooth at zero",
        )
    )
    register(
        LossSpec(
            name="bce",
            factory="convae_losses.bce:BCELoss",
            config=BCEConfig,
            summary="binary cross-entropy of pixel values",
            minimum=None,
            symmetric=False,
        )
    )
    register(
        LossSpec(
            name="ssim",
            factory="convae_losses.ssim:SSIMLoss",
            config=SSIMConfig,
            summary="1 - structural similarity in a Gaussian window",
        )
    )
    register(
        LossSpec(
            name="ms-ssim",
            factory="convae_losses.ms_ssim:MSSSIMLoss",
            config=MSSSIMConfig,
            summary="1 - structural similarity at several scales",
        )
    )
    register(
        LossSpec(
            name="gradient-difference",
            factory="convae_losses.gradient_difference:GradientDifferenceLoss",
            summary="absolute difference of the images' gradients",
        )
    )
    register(
        LossSpec(
            name="focal-frequency",
            factory="convae_losses.focal_frequency:FocalFrequencyLoss",
            config=FocalFrequencyConfig,
            summary="squared error of the spectrum, weighted towards the worst frequencies",
        )
    )
    register(
        LossSpec(
            name="adversarial",
            factory="convae_losses.adversarial:AdversarialLoss",
            config=AdversarialConfig,
            summary="a patch discriminator trained along with the model",
            minimum=None,
            symmetric=False,
        )
    )
    register(
        LossSpec(
            name="perceptual",
            factory="convae_losses.perceptual:PerceptualLoss",
            config=PerceptualConfig,
            summary="distance between VGG-16 features",
        )
    )
    register(
        LossSpec(
            name="lpips",
            factory="convae_losses.lpips:LPIPSLoss",
            config=LPIPSConfig,
            summary="perceptual distance fitted to human judgements",
        )
    )

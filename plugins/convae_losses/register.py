"""What the plugin registers; no torch here."""

from convae_losses.configs import BCEConfig, CharbonnierConfig, SSIMConfig
from convae_zoo import hookimpl
from convae_zoo.hookspecs import Registrar
from convae_zoo.specs import LossSpec


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
            least=None,
            symmetric=False,
        )
    )
    register(
        LossSpec(
            name="ssim",
            factory="convae_losses.ssim:SSIMLoss",
            config=SSIMConfig,
            summary="1 - structural similarity, window 11×11",
        )
    )

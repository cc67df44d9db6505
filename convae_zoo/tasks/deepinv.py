"""A denoiser of the zoo as a denoiser of deepinv, for its plug-and-play reconstruction.

    pip install 'convae-zoo[deepinv]'

deepinv is described at https://deepinv.github.io.
"""

from typing import Any

from torch import Tensor
from torch.nn import functional

from convae_zoo.errors import UsageError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.weights.load import load_model

try:
    from deepinv.models import Denoiser
except ImportError as error:
    raise UsageError("DeepinvDenoiser needs deepinv: pip install 'convae-zoo[deepinv]'") from error


class DeepinvDenoiser(Denoiser):  # type: ignore[misc]  # deepinv is not typed
    """Denoises images N×C×H×W in [0, 1], up to noise, of any height and width.

    Gradients flow through it. It is a module of deepinv like any other: it goes into
    ``deepinv.optim.prior.PnP(denoiser=...)``.

    Args:
        model: a fully convolutional denoiser, which is put into evaluation mode; or its name, such
            as ``unet-denoiser.photographs``.

    Raises:
        UsageError: the model takes images of one size only.
    """

    def __init__(self, model: Autoencoder | str) -> None:
        super().__init__()
        self.model = load_model(model) if isinstance(model, str) else model.eval()
        multiple = self.model.plan.size_multiple
        if multiple is None:
            raise UsageError(
                f"model {self.model.name!r} takes images of one size only; deepinv needs a fully "
                "convolutional denoiser, such as unet-denoiser"
            )
        self.multiple = multiple

    def forward(self, x: Tensor, sigma: float | Tensor | None = None, **_: Any) -> Tensor:
        """Denoise images.

        Args:
            x: N×C×H×W in [0, 1], up to noise.
            sigma: the noise's standard deviation, one or N; a blind model ignores it.
        """
        low, high = self.model.value_range
        height, width = x.shape[2:]
        bottom, right = -height % self.multiple, -width % self.multiple
        padded = functional.pad(x, (0, right, 0, bottom), mode="replicate") * (high - low) + low
        if sigma is not None and self.model.plan.takes_sigma:
            sigma = x.new_tensor(sigma) if isinstance(sigma, float | int) else sigma.to(x)
            sigma = sigma.flatten().expand(len(x))
        else:
            sigma = None
        clean: Tensor = self.model(padded, sigma)[..., :height, :width]
        return (clean - low) / (high - low)

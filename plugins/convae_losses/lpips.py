"""LPIPS: a perceptual distance with weights fitted to human judgements."""

from typing import Literal

import torch
from torch import Tensor, nn

# The public metric downloads its backbone; this module of torchmetrics takes one that is given.
from torchmetrics.functional.image.lpips import _NoTrainLpips

from convae_losses.features import load_features, read_features, rgb_pair

_SMALLEST = {"vgg": 16, "alex": 32}


class LPIPSLoss(nn.Module):
    """Mean over images of the sum over stages l of mean of w_l · (n_l(r) - n_l(t))²; 0 at r = t.

    n_l are the activations of a network trained on ImageNet after its l-th stage, divided by their
    length over the channels; w_l are non-negative weights fitted to human judgements, which
    torchmetrics ships. The value range is mapped to [-1, 1], unclipped; images of one channel
    count as grey. The networks are frozen.

    Source: Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features
    as a perceptual metric", 2018.

    Args:
        value_range: the (low, high) of the model's pixel values.
        network: ``vgg``, VGG-16, which its authors advise for training; or ``alex``, AlexNet, which
            they advise for measuring.
        weights: a .safetensors file of the network with torchvision's names
            (``features.0.weight``); None for torchvision's cache.

    Raises:
        WeightsError: the weights are missing, or another network's.
    """

    def __init__(
        self,
        value_range: tuple[float, float] = (-1.0, 1.0),
        network: Literal["vgg", "alex"] = "vgg",
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.value_range = value_range
        self.network = network
        stored = read_features(network, weights, loss="lpips")
        with torch.random.fork_rng(devices=[]):  # it draws weights that are replaced
            self.distance = _NoTrainLpips(net=network, pnet_rand=True)
        load_features(self.distance.net, stored, network, loss="lpips")

    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Map two batches N×C×H×W to a scalar.

        Raises:
            ContractError: images of other than 1 or 3 channels, or smaller than 16×16 pixels
                (``alex``: 32×32).
        """
        x, y = rgb_pair(
            reconstruction,
            target,
            self.value_range,
            smallest=_SMALLEST[self.network],
            loss="lpips",
        )
        with torch.autocast(x.device.type, enabled=False):
            distances: Tensor = self.distance(x, y, normalize=True)
        return distances.mean()

    def extra_repr(self) -> str:
        """Show the range and the network."""
        return f"value_range={self.value_range}, network={self.network!r}"

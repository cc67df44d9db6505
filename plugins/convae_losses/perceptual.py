"""A perceptual loss: the distance between the VGG-16 features of two images."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import vgg16

from convae_losses.features import load_features, read_features, rgb_pair

LAYERS = (3, 8, 15, 22)
"""Where relu1_2, relu2_2, relu3_3 and relu4_3 are among torchvision's ``features``."""

SMALLEST = 8
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PerceptualLoss(nn.Module):
    """Mean over four layers l of mean of (f_l(r) - f_l(t))², over images, channels and places.

    f_l are the activations of VGG-16, trained on ImageNet, after relu1_2, relu2_2, relu3_3 and
    relu4_3; r is the reconstruction, t the target, both with the value range mapped to [0, 1] and
    then normalised as for ImageNet. Images of one channel count as grey. 0 at equality; VGG-16 is
    frozen.

    Source: Johnson, Alahi, Fei-Fei, "Perceptual losses for real-time style transfer and
    super-resolution", 2016 (its feature reconstruction loss, on several layers).

    Args:
        value_range: the (low, high) of the model's pixel values.
        weights: a .safetensors file of VGG-16 with torchvision's names (``features.0.weight``);
            None for torchvision's cache.

    Raises:
        WeightsError: the weights are missing, or another network's.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, value_range: tuple[float, float] = (-1.0, 1.0), weights: str | None = None
    ) -> None:
        super().__init__()
        self.value_range = value_range
        stored = read_features("vgg", weights, loss="perceptual")
        with torch.device("meta"):  # draws no weights, since they are replaced
            self.features = vgg16(weights=None).features[: LAYERS[-1] + 1]
        load_features(self.features, stored, "vgg", loss="perceptual")
        self.register_buffer("mean", torch.tensor(_MEAN).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(-1, 1, 1), persistent=False)

    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Map two batches N×C×H×W to a scalar.

        Raises:
            ContractError: images of other than 1 or 3 channels, or with a side of less than eight
                pixels.
        """
        images = rgb_pair(
            reconstruction, target, self.value_range, smallest=SMALLEST, loss="perceptual"
        )
        x, y = ((v - self.mean) / self.std for v in images)
        distances = []
        with torch.autocast(x.device.type, enabled=False):
            for index, layer in enumerate(self.features):
                x, y = layer(x), layer(y)
                if index in LAYERS:
                    distances.append(functional.mse_loss(x, y))
        return torch.stack(distances).mean()

    def extra_repr(self) -> str:
        """Show the range."""
        return f"value_range={self.value_range}"

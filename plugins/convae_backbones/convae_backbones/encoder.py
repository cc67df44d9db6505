"""The encoders: the convolutional part of a torchvision classifier, with or without a bottleneck.

VGG-16 is https://arxiv.org/abs/1409.1556, configuration D.
"""

from functools import partial
from typing import Self

import torch
from torch import Tensor, nn

from convae_backbones.backbone import make_backbone
from convae_backbones.configs import BACKBONES, STRIDE
from convae_backbones.weights import load_weights
from convae_zoo import is_loading
from convae_zoo.layers import lecun_normal_

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue between 0 and 1; torchvision's weights expect them."""


class BackboneEncoder(nn.Module):
    """Images N×3×S×S in `value_range` to latents N×latent_dim, or N×(C·S/32·S/32).

    The images are normalised as torchvision's weights expect; then come the backbone's features
    N×C×S/32×S/32, flattened, and a linear layer without activation where there is a bottleneck.
    Initial weights: torchvision's own; the linear layer LeCun-normal with bias zero.

    Args:
        backbone: a key of `BACKBONES`.
        image_size: S, divisible by 32.
        latent_dim: floats of a latent; 0 is no bottleneck.
        weights: of the backbone: ``none``, ``imagenet`` or the path of a .safetensors file.
        download: download torchvision's weights if torch hub's cache lacks them.
        frozen: the backbone is not trained, and stays in eval mode.
        value_range: the (low, high) of black and white.

    Raises:
        WeightsError: as `load_weights` does.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: str = "vgg16",
        image_size: int = 224,
        latent_dim: int = 0,
        weights: str = "none",
        download: bool = False,
        frozen: bool = False,
        value_range: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        super().__init__()
        self.value_range = value_range
        self.frozen = frozen
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)
        self.features = make_backbone(backbone)
        if not is_loading():
            load_weights(self.features, backbone, weights, download=download)
        self.features.requires_grad_(not frozen)
        self.bottleneck: nn.Module = nn.Identity()
        if latent_dim:
            floats = BACKBONES[backbone].channels * (image_size // STRIDE) ** 2
            self.bottleneck = nn.Linear(floats, latent_dim)
            lecun_normal_(self.bottleneck)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Set train or eval mode; a frozen backbone stays in eval mode."""
        super().train(mode)
        if self.frozen:
            self.features.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Map images N×3×S×S to latents N×D."""
        low, high = self.value_range
        normalised = ((x - low) / (high - low) - self.mean) / self.std
        latent: Tensor = self.bottleneck(self.features(normalised).flatten(1))
        return latent


vgg16 = partial(BackboneEncoder, "vgg16")
resnet18 = partial(BackboneEncoder, "resnet18")
convnext_tiny = partial(BackboneEncoder, "convnext_tiny")
efficientnet_b0 = partial(BackboneEncoder, "efficientnet_b0")

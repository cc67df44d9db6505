"""The convolutional part of torchvision's classifiers, by name."""

from collections import OrderedDict

import torch
from torch import nn
from torchvision import models

HEADS = ("classifier.", "fc.")
"""The parts of torchvision's classifiers that are not convolutional."""

_FEATURES = "features."


def make_backbone(name: str) -> nn.Sequential:
    """Make images N×3×S×S to features N×C×S/32×S/32, with torchvision's own initial weights.

    The tensors are named as in torchvision's model, without a leading ``features.``.
    """
    if name == "vgg16":
        return _vgg16()
    whole = models.get_model(name, weights=None)
    if hasattr(whole, "features"):
        features: nn.Sequential = whole.features
        return features
    parts = OrderedDict(whole.named_children())
    del parts["avgpool"], parts["fc"]
    return nn.Sequential(parts)


def feature_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Name the tensors of a whole classifier as `make_backbone` does; leave out its head."""
    return {k.removeprefix(_FEATURES): v for k, v in tensors.items() if not k.startswith(HEADS)}


def _vgg16() -> nn.Sequential:
    """Make VGG-16's part without drawing the 124 million weights of its head."""
    with torch.device("meta"):
        features: nn.Sequential = models.vgg16(weights=None, init_weights=False).features
    features.to_empty(device=torch.get_default_device())
    for layer in features:
        if isinstance(layer, nn.Conv2d):  # as torchvision initialises them
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return features

"""What the optimisers and the augmentations of a recipe can be set to; no torch here."""

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from convae_zoo.registry import fields
from convae_zoo.registry.specs import EmptyConfig

_BELOW_1 = 0.999999  # PyTorch refuses 1


@attrs.frozen(kw_only=True)
class AdamConfig:
    """Settings of Adam and AdamW."""

    beta1: float = fields.number(0.9, minimum=0, maximum=_BELOW_1)
    beta2: float = fields.number(0.999, minimum=0, maximum=_BELOW_1)
    eps: float = fields.number(1e-8, minimum=0)
    weight_decay: float = fields.number(0.0, minimum=0)


@attrs.frozen(kw_only=True)
class AdamWConfig(AdamConfig):
    """Settings of AdamW, which decays weights by default, as PyTorch's."""

    weight_decay: float = fields.number(0.01, minimum=0)


@attrs.frozen(kw_only=True)
class SGDConfig:
    """Settings of stochastic gradient descent."""

    momentum: float = fields.number(0.0, minimum=0, maximum=1)
    nesterov: bool = fields.flag(default=False)
    weight_decay: float = fields.number(0.0, minimum=0)

    def __attrs_post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")


@attrs.frozen(kw_only=True)
class MuonConfig:
    """Settings of `Muon`."""

    momentum: float = fields.number(0.95, minimum=0, maximum=1)
    weight_decay: float = fields.number(0.0, minimum=0)
    adam_ratio: float = fields.number(0.05, minimum=0)


@attrs.frozen(kw_only=True)
class CropConfig:
    """Settings of random crops.

    Attributes:
        scale: pixels of the picture per pixel of the crop, along a side, drawn evenly on a
            logarithmic scale; at most what the picture allows.
        count: crops of each picture per epoch.
    """

    scale: float | tuple[float, float] = fields.span((1, 8), minimum=0.1, maximum=100)
    count: int = fields.integer(16)


OPTIMIZERS: Mapping[str, type] = MappingProxyType(
    {"adam": AdamConfig, "adamw": AdamWConfig, "sgd": SGDConfig, "muon": MuonConfig}
)
"""The settings of each optimiser."""

AUGMENTATIONS: Mapping[str, type] = MappingProxyType(
    {
        "none": EmptyConfig,
        "flip": EmptyConfig,
        "dihedral": EmptyConfig,
        "dihedral-colours": EmptyConfig,
        "crop": CropConfig,
    }
)
"""The settings of each augmentation."""

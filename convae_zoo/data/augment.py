"""Random changes of training images: poses, and crops of whole pictures."""

from itertools import permutations

import attrs
import torch
from torch import Tensor

from convae_zoo.data.order import epoch_generator
from convae_zoo.errors import ConfigError, unknown
from convae_zoo.registry.expressions import parse_expression
from convae_zoo.registry.factories import create_config
from convae_zoo.registry.recipe_settings import AUGMENTATIONS, CropConfig

POSES = {"none": 1, "flip": 2, "dihedral": 8, "dihedral-colours": 96}
"""How many poses an image can take, by the name of the augmentation."""

_CHANNELS = torch.tensor(list(permutations(range(3))))

CROP = "crop"


@attrs.frozen(kw_only=True)
class Augmentation:
    """What is done to training images at random.

    Attributes:
        poses: how many poses an image can take.
        crop: of whole pictures; None if the images are used as they are.
    """

    poses: int = 1
    crop: CropConfig | None = None

    @classmethod
    def parse(cls, text: str) -> "Augmentation":
        """Read an augmentation, such as ``flip`` or ``crop(scale=2:8) + dihedral``.

        Raises:
            UnknownNameError: no such augmentation or setting.
            ConfigError: it cannot be read, or a value is of the wrong type or out of range.
        """
        found: dict[str, object] = {}
        for term in parse_expression(text, "augment").terms:
            if term.name not in AUGMENTATIONS:
                raise unknown("augmentation", term.name, AUGMENTATIONS)
            kind = "crop" if term.name == CROP else "poses"
            if kind in found or term.weight != 1:
                raise ConfigError(
                    f"augment must be one of {', '.join(POSES)}, or crop, or crop + one of these; "
                    f"got {text!r:.80}"
                )
            settings = create_config(
                AUGMENTATIONS[term.name], term.config, f"augmentation {term.name!r}"
            )
            found[kind] = settings if term.name == CROP else POSES[term.name]
        return cls(**found)  # type: ignore[arg-type]  # each value fits its name

    @property
    def needs_square(self) -> bool:
        """Whether images may be turned by a quarter."""
        return self.poses > POSES["flip"]

    def draw_poses(self, count: int, *, epoch: int, seed: int) -> Tensor | None:
        """Draw the pose of each image for one epoch, uint8; None where all stay as they are.

        The draw depends on the seed and the epoch alone, whatever the order and the batches.
        """
        if self.poses == 1:
            return None
        generator = epoch_generator(epoch, seed, use=1)
        return torch.randint(self.poses, (count,), dtype=torch.uint8, generator=generator)


def pose(images: Tensor, poses: Tensor) -> Tensor:
    """Return images N×C×H×W in their poses.

    Args:
        images: uint8.
        poses: uint8, N, sums of 1 (flipped left and right), 2 (upside down), 4 (transposed, if H =
            W), 8 (negative) and, for colour, 16 times the number of an order of the channels.
    """
    poses = poses.to(images.device)
    chosen = poses[:, None, None, None]
    images = torch.where((chosen & 1).bool(), images.flip(3), images)
    images = torch.where((chosen & 2).bool(), images.flip(2), images)
    if images.shape[2] == images.shape[3]:
        images = torch.where((chosen & 4).bool(), images.transpose(2, 3), images)
    images = torch.where((chosen & 8).bool(), 255 - images, images)
    if images.shape[1] == _CHANNELS.shape[1]:
        order = _CHANNELS.to(images.device)[(poses >> 4).long()]
        images = images.gather(1, order[:, :, None, None].expand_as(images))
    return images

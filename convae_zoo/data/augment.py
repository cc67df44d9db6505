"""Random flips and quarter turns of training images."""

import torch
from torch import Tensor

from convae_zoo.data.order import epoch_generator

POSES = {"none": 1, "flip": 2, "dihedral": 8}
"""How many poses an image can take, by the name of the augmentation."""


def draw_poses(count: int, *, epoch: int, seed: int, kind: str) -> Tensor | None:
    """Draw the pose of each image for one epoch, uint8; None where all stay as they are.

    The draw depends on the seed and the epoch alone, whatever the order and the batches.
    """
    if POSES[kind] == 1:
        return None
    generator = epoch_generator(epoch, seed, use=1)
    return torch.randint(POSES[kind], (count,), dtype=torch.uint8, generator=generator)


def augment(images: Tensor, poses: Tensor) -> Tensor:
    """Return images N×C×H×W in their poses: 1 flips left and right, 2 upside down, 4 transposes.

    Args:
        images: of any dtype, H = W.
        poses: uint8, N, sums of 1, 2 and 4.
    """
    poses = poses.to(images.device)[:, None, None, None]
    images = torch.where((poses & 1).bool(), images.flip(3), images)
    images = torch.where((poses & 2).bool(), images.flip(2), images)
    return torch.where((poses & 4).bool(), images.transpose(2, 3), images)

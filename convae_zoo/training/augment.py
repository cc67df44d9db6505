"""Images mirrored and turned at random, so that a small set shows a model more."""

import torch
from torch import Tensor

from convae_zoo.training.order import epoch_generator

POSES = {"none": 1, "flip": 2, "dihedral": 8}
"""In how many poses an image may be shown, by the name of the augmentation."""


def epoch_poses(count: int, *, epoch: int, seed: int, augment: str) -> Tensor | None:
    """Return the pose of each image in one epoch, uint8; None where all stay as they are.

    The draw depends on the seed and the epoch alone, whatever the order and the batches.
    """
    if POSES[augment] == 1:
        return None
    generator = epoch_generator(epoch, seed, use=1)
    return torch.randint(POSES[augment], (count,), dtype=torch.uint8, generator=generator)


def show(images: Tensor, poses: Tensor) -> Tensor:
    """Return images N×C×H×W in their poses: 1 mirrors left and right, 2 upside down, 4 transposes.

    Args:
        images: of any dtype, H = W.
        poses: uint8, N, sums of 1, 2 and 4.
    """
    poses = poses.to(images.device)[:, None, None, None]
    images = torch.where((poses & 1).bool(), images.flip(3), images)
    images = torch.where((poses & 2).bool(), images.flip(2), images)
    return torch.where((poses & 4).bool(), images.transpose(2, 3), images)

"""Augmentation: what each pose is, and that the draw depends on the epoch and the seed alone."""

import pytest
import torch

from convae_zoo.data import ImageSet
from convae_zoo.data.augment import POSES, augment, draw_poses
from tiny_runs import image_set, tiny_train


def test_each_pose_flips_and_transposes_as_its_bits_say():
    images = torch.randint(0, 256, (8, 3, 5, 5), dtype=torch.uint8)
    posed = augment(images, torch.arange(8, dtype=torch.uint8))
    for pose, (before, after) in enumerate(zip(images, posed, strict=True)):
        expected = before
        if pose & 1:
            expected = expected.flip(2)
        if pose & 2:
            expected = expected.flip(1)
        if pose & 4:
            expected = expected.transpose(1, 2)
        assert torch.equal(after, expected)
    one = images[:1].expand(8, -1, -1, -1)
    assert len(augment(one, torch.arange(8, dtype=torch.uint8)).flatten(1).unique(dim=0)) == 8


@pytest.mark.parametrize("kind", ["flip", "dihedral"])
def test_each_epoch_draws_every_pose_equally_often(kind):
    first, second = (draw_poses(4000, epoch=e, seed=0, kind=kind) for e in (1, 2))
    again = draw_poses(4000, epoch=1, seed=0, kind=kind)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    share = torch.bincount(first.long(), minlength=POSES[kind]) * POSES[kind] / 4000
    assert len(share) == POSES[kind]
    assert bool(((share - 1).abs() < 0.25).all())


def test_without_augmentation_nothing_is_drawn():
    assert draw_poses(10, epoch=1, seed=0, kind="none") is None


def test_training_sees_the_poses_of_its_recipe():
    images = image_set(64).images
    poses = draw_poses(64, epoch=1, seed=3, kind="dihedral")

    def losses(pixels, kind):
        sets = (ImageSet(name="noise", split="train", images=pixels),) * 2
        return tiny_train(dataset=sets, epochs=1, seed=3, augment=kind).train_losses

    assert losses(images, "dihedral") == losses(augment(images, poses), "none")
    assert losses(images, "dihedral") != losses(images, "none")

"""Training images mirrored and turned: which, how, and that the draw is the epoch's alone."""

import pytest
import torch

import convae_zoo as zoo
from convae_zoo.data import ImageSet
from convae_zoo.training.augment import POSES, epoch_poses, show


def test_each_pose_is_what_it_says():
    images = torch.randint(0, 256, (8, 3, 5, 5), dtype=torch.uint8)
    shown = show(images, torch.arange(8, dtype=torch.uint8))
    for pose, (before, after) in enumerate(zip(images, shown, strict=True)):
        expected = before
        if pose & 1:
            expected = expected.flip(2)
        if pose & 2:
            expected = expected.flip(1)
        if pose & 4:
            expected = expected.transpose(1, 2)
        assert torch.equal(after, expected)
    one = images[:1].expand(8, -1, -1, -1)
    assert len(show(one, torch.arange(8, dtype=torch.uint8)).flatten(1).unique(dim=0)) == 8


@pytest.mark.parametrize("augment", ["flip", "dihedral"])
def test_an_epoch_draws_every_pose_anew(augment):
    first, second = (epoch_poses(4000, epoch=e, seed=0, augment=augment) for e in (1, 2))
    again = epoch_poses(4000, epoch=1, seed=0, augment=augment)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    share = torch.bincount(first.long(), minlength=POSES[augment]) * POSES[augment] / 4000
    assert len(share) == POSES[augment]
    assert bool(((share - 1).abs() < 0.25).all())


def test_without_augmentation_nothing_is_drawn():
    assert epoch_poses(10, epoch=1, seed=0, augment="none") is None


def test_training_sees_the_poses_of_its_recipe():
    torch.manual_seed(0)
    images = torch.randint(0, 256, (64, 3, 8, 8), dtype=torch.uint8)
    poses = epoch_poses(64, epoch=1, seed=3, augment="dihedral")

    def losses(pixels, augment):
        return zoo.train(
            "convae-200",
            dataset=(ImageSet(name="noise", split="train", images=pixels),) * 2,
            overrides={"width": 8, "latent_dim": 64, "image_size": 8},
            epochs=1,
            batch_size=16,
            seed=3,
            device="cpu",
            precision="fp32",
            shuffle=False,
            augment=augment,
        ).train_losses

    assert losses(images, "dihedral") == losses(show(images, poses), "none")
    assert losses(images, "dihedral") != losses(images, "none")

"""Augmentation: what each pose is, and that the draw depends on the epoch and the seed alone."""

import pytest
import torch

from convae_zoo.data import ImageSet
from convae_zoo.data.augment import POSES, Augmentation
from convae_zoo.data.augment import pose as in_pose
from convae_zoo.data.training_images import TrainingImages
from convae_zoo.errors import ZooError
from convae_zoo.registry.specs import Recipe
from tiny_runs import image_set, tiny_train


def test_each_pose_flips_and_transposes_as_its_bits_say():
    images = torch.randint(0, 256, (8, 3, 5, 5), dtype=torch.uint8)
    posed = in_pose(images, torch.arange(8, dtype=torch.uint8))
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
    assert len(in_pose(one, torch.arange(8, dtype=torch.uint8)).flatten(1).unique(dim=0)) == 8


def test_images_that_are_not_square_are_flipped_but_not_turned():
    images = torch.randint(0, 256, (4, 3, 8, 12), dtype=torch.uint8)
    posed = in_pose(images, torch.tensor([0, 1, 2, 3], dtype=torch.uint8))
    for after, expected in zip(
        posed, (images[0], images[1].flip(2), images[2].flip(1)), strict=False
    ):
        assert torch.equal(after, expected)
    found = ImageSet(name="wide", split="train", images=images)
    with pytest.raises(ZooError, match=r"^augment 'dihedral' turns images .* 3×8×12; use flip$"):
        TrainingImages(found, Recipe(augment="dihedral"), (3, 8, 12), torch.device("cpu"))


def test_colour_poses_are_negatives_and_orders_of_the_channels():
    images = torch.randint(0, 256, (1, 3, 4, 4), dtype=torch.uint8).expand(96, -1, -1, -1)
    posed = in_pose(images, torch.arange(96, dtype=torch.uint8))
    assert len(posed.flatten(1).unique(dim=0)) == 96
    upright = posed[::8]
    assert torch.equal(upright[1::2], 255 - upright[::2])
    assert torch.equal(upright[::2].sort(1).values, images[:6].sort(1).values)
    grey = images[:, :1]
    assert torch.equal(in_pose(grey, torch.full((96,), 80, dtype=torch.uint8)), grey)


@pytest.mark.parametrize("kind", ["flip", "dihedral", "dihedral-colours"])
def test_each_epoch_draws_every_pose_equally_often(kind):
    augmentation = Augmentation.parse(kind)
    first, second = (augmentation.draw_poses(40_000, epoch=e, seed=0) for e in (1, 2))
    again = augmentation.draw_poses(40_000, epoch=1, seed=0)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    share = torch.bincount(first.long(), minlength=POSES[kind]) * POSES[kind] / 40_000
    assert len(share) == POSES[kind]
    assert bool(((share - 1).abs() < 0.25).all())


def test_without_augmentation_nothing_is_drawn():
    assert Augmentation.parse("none").draw_poses(10, epoch=1, seed=0) is None


def test_training_sees_the_poses_of_its_recipe():
    images = image_set(64).images
    poses = Augmentation.parse("dihedral").draw_poses(64, epoch=1, seed=3)

    def losses(pixels, kind):
        sets = (ImageSet(name="noise", split="train", images=pixels),) * 2
        return tiny_train(dataset=sets, epochs=1, seed=3, augment=kind).train_losses

    assert losses(images, "dihedral") == losses(in_pose(images, poses), "none")
    assert losses(images, "dihedral") != losses(images, "none")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("flips", "unknown augmentation 'flips'; did you mean 'flip'?"),
        ("crop(size=3)", "unknown field of augmentation 'crop': 'size'; known: count, scale"),
        ("crop(scale=8:1)", "augmentation 'crop': scale must be a number from 0.1 to 100 or a"),
        ("crop(count=0)", "augmentation 'crop': count must be a whole number of at least 1"),
        ("flip + dihedral", "augment must be one of none, flip, dihedral, dihedral-colours,"),
        ("crop + crop", "augment must be one of none, flip, dihedral, dihedral-colours,"),
        ("0.5*flip", "augment must be one of none, flip, dihedral, dihedral-colours,"),
        ("flip(share=2)", "unknown field of augmentation 'flip': 'share'"),
    ],
)
def test_an_augmentation_that_cannot_be_used_is_one_line(text, line):
    with pytest.raises(ZooError) as caught:
        tiny_train(augment=text)
    assert line in str(caught.value)

"""Datasets, each with one defect."""

import torch

from convae_zoo.data import ImageSet, PictureSet


def _images(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (8, 3, 8, 8), dtype=torch.uint8, generator=generator)


def _seed(split):
    return 0 if split == "train" else 1


def labels(split):
    return ImageSet(
        name="dataset-images",
        split=split,
        images=_images(_seed(split)),
        labels=torch.arange(8),
        class_names=("a", "b"),
    )


def random(split):
    return ImageSet(name="dataset-repeats", split=split, images=_images(torch.seed()))


def overlap(split):
    images = torch.cat([_images(_seed(split)), _images(2)[:1]])
    return ImageSet(name="dataset-splits", split=split, images=images)


def pictured(split):
    return ImageSet(name="dataset-pictures", split=split, images=_images(_seed(split)))


def pictures(split):
    return PictureSet(name="dataset-pictures", split="all", pictures=tuple(_images(_seed(split))))

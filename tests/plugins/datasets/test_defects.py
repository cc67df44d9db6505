import numpy as np
import pytest
import torch
from convae_datasets import defects as module

from convae_zoo.data import anomalous, load_dataset
from convae_zoo.errors import ConfigError


@pytest.mark.parametrize("texture", ["brick", "grass", "gravel"])
def test_each_defect_is_drawn_where_its_mask_says_and_nowhere_else(texture):
    images = load_dataset("defects", "test", texture=texture)
    part = module._read(texture)[:, 320:]
    windows = torch.from_numpy(np.stack(list(module._windows(part, 96, 32))))
    assert images.class_names == ("good", "blot", "foreign", "hole", "scratch")
    assert images.image_shape == (1, 96, 96)
    changed = images.images[:, 0] != windows
    assert changed[images.masks].float().mean() > 0.9
    assert (changed & ~images.masks).float().mean() < 0.01  # soft edges
    shares = images.masks.float().mean((1, 2))
    assert torch.equal(shares > 0, anomalous(images))
    assert shares[anomalous(images)].min() > 0.005
    assert shares.max() < 0.15
    for kind, darkest in (("blot", 70), ("hole", 20)):
        chosen = images.labels == images.class_names.index(kind)
        assert images.images[chosen][:, 0][images.masks[chosen]].float().mean() < darkest


def test_every_kind_of_defect_and_good_pictures_are_about_as_frequent():
    counts = load_dataset("defects", "test").labels.bincount()
    assert counts.min() >= 10
    assert counts.max() - counts.min() <= 1


def test_training_pictures_are_good_and_from_another_part_of_the_photograph():
    train, test = load_dataset("defects"), load_dataset("defects", "test")
    assert not anomalous(train).any()
    assert train.masks is None
    assert len(train) >= 150
    good = test.images[~anomalous(test)]
    columns = {bytes(image[0, :, 0].numpy()) for image in train.images}
    assert not any(bytes(image[0, :, 0].numpy()) in columns for image in good)


def test_pictures_of_a_models_size_can_be_cut():
    images = load_dataset("defects", "test", image_size=32)
    assert images.image_shape == (1, 32, 32)
    assert anomalous(images).any()


def test_pictures_larger_than_the_photograph_allows_are_refused():
    with pytest.raises(ConfigError, match="at most 160, got 161"):
        load_dataset("defects", image_size=161)

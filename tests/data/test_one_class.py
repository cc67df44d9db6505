import pytest
import torch

from convae_zoo.data import ImageSet, anomalous, one_class
from convae_zoo.errors import DataError, UnknownNameError, UsageError


def make(labels=(0, 1, 2, 1), names=("crack", "good", "scratch"), **more):
    images = torch.arange(4, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone()
    return ImageSet(
        name="made",
        split="test",
        images=images,
        labels=None if labels is None else torch.tensor(labels),
        class_names=names,
        **more,
    )


@pytest.mark.parametrize("normal", [None, "good", 1, "1"])
def test_the_images_of_the_normal_class_are_kept_with_their_labels_and_masks(normal):
    masks = torch.arange(4).view(4, 1, 1).expand(4, 2, 2) > 1
    kept = one_class(make(masks=masks), normal)
    assert kept.images[:, 0, 0, 0].tolist() == [1, 3]
    assert kept.labels.tolist() == [1, 1]
    assert kept.masks[:, 0, 0].tolist() == [False, True]


def test_every_other_class_is_anomalous():
    assert anomalous(make()).tolist() == [True, False, True, False]
    assert anomalous(make(), "crack").tolist() == [False, True, True, True]


def test_classes_without_names_go_by_number():
    assert anomalous(make(names=()), 2).tolist() == [True, True, False, True]


def test_all_images_of_a_set_without_labels_are_normal():
    images = make(labels=None, names=())
    assert one_class(images) is images


@pytest.mark.parametrize(
    ("images", "normal", "error", "message"),
    [
        (
            make(names=("a", "b", "c")),
            None,
            UsageError,
            "name its normal class with --normal-class",
        ),
        (make(), "goof", UnknownNameError, "'goof'; did you mean 'good'"),
        (make(), 3, UnknownNameError, "unknown class of dataset 'made': '3'"),
        (make(labels=None, names=()), 1, UsageError, "has no labels"),
        (make(labels=(0, 0, 0, 0)), "good", DataError, "no image of the normal class 'good'"),
    ],
)
def test_a_class_that_the_set_lacks_is_refused(images, normal, error, message):
    with pytest.raises(error, match=message):
        one_class(images, normal)

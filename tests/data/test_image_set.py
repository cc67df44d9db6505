import pytest
import torch

from convae_zoo.data import ImageSet, fingerprint
from convae_zoo.errors import DataError


def make(count=6, labels=None, **more):
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 4, 5).clone()
    tensor = None if labels is None else torch.tensor(labels)
    return ImageSet(name="made", split="train", images=images, labels=tensor, **more)


def test_a_set_knows_its_size_and_the_shape_of_an_image():
    assert len(make()) == 6
    assert make().image_shape == (3, 4, 5)


def test_the_exemplars_are_the_first_image_of_each_class_in_the_classes_order():
    assert make(labels=[2, 0, 2, 1, 0, 1]).exemplars(3).tolist() == [1, 3, 0]
    assert make(labels=[2, 0, 2, 1, 0, 1]).exemplars(2).tolist() == [1, 3]


def test_where_classes_are_few_other_images_follow():
    assert make(labels=[0, 0, 0, 0, 1, 1]).exemplars(4).tolist() == [0, 4, 1, 3]
    assert make(3, labels=[0, 0, 1]).exemplars().tolist() == [0, 2, 1]
    many = make(80, labels=list(range(80)))
    assert many.exemplars().tolist() == list(range(64))


def test_without_labels_the_exemplars_are_spread_over_the_set():
    assert make(100).exemplars().tolist() == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert make(3).exemplars().tolist() == [0, 1, 2]


def test_an_image_is_named_after_its_class():
    images = make(labels=[0, 1, 2, -1, 0, 0], class_names=("cat", "dog"))
    assert [images.label_name(i) for i in range(4)] == ["cat", "dog", "2", "-1"]
    assert make().label_name(0) == ""


def test_the_fingerprint_is_computed_again_after_a_change_in_place():
    images = make()
    first = images.fingerprint
    images.images[0] += 1
    assert images.fingerprint != first
    images.images[0] -= 1
    assert images.fingerprint == first
    with torch.inference_mode():
        assert fingerprint(make().images) == first


def test_the_fingerprint_tells_other_pixels_and_another_shape_apart():
    images = make()
    assert images.fingerprint == make().fingerprint
    other = make()
    other.images[3, 0, 0, 0] += 1
    turned = ImageSet(name="made", split="train", images=images.images.transpose(2, 3))
    assert len({images.fingerprint, other.fingerprint, turned.fingerprint}) == 3


def test_a_fitted_set_has_another_shape_and_all_else_the_same():
    images = make(labels=[0, 1, 0, 1, 0, 1], class_names=("a", "b"), skipped=("x",), license="CC0")
    fitted = images.fitted((1, 8, 8))
    assert fitted.image_shape == (1, 8, 8)
    assert fitted.images[5].eq(5).all()
    assert fitted.fingerprint != images.fingerprint
    assert (fitted.labels, fitted.skipped, fitted.license) == (images.labels, ("x",), "CC0")
    assert images.fitted((3, 4, 5)) is images


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(2, 3, 4, 4), None, "uint8 images N×C×H×W, got torch.float32"),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), None, r"of shape \(2, 4, 4\)"),
        (torch.zeros(0, 3, 4, 4, dtype=torch.uint8), None, "no images in split 'val'"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(3).long(), "each of its 2 images"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(2), "int64 labels"),
    ],
)
def test_images_and_labels_of_the_wrong_form_are_refused(images, labels, message):
    with pytest.raises(DataError, match=message):
        ImageSet(name="bad", split="val", images=images, labels=labels)


@pytest.mark.parametrize(
    "masks", [torch.zeros(6, 4, 5), torch.zeros(6, 5, 4, dtype=torch.bool)], ids=["float", "turned"]
)
def test_masks_of_the_wrong_form_are_refused(masks):
    with pytest.raises(DataError, match=r"bool masks of shape \(6, 4, 5\), got"):
        make(masks=masks)


def test_masks_are_fitted_as_their_images_are():
    pixels = torch.zeros(6, 4, 5, dtype=torch.bool)
    pixels[:, :2, 1] = True
    images = make(masks=pixels)
    images.images[pixels[:, None].expand(-1, 3, -1, -1)] = 255
    images.images[~pixels[:, None].expand(-1, 3, -1, -1)] = 0
    for shape in ((3, 8, 8), (3, 2, 2), (3, 4, 5)):
        fitted = images.fitted(shape)
        assert fitted.masks.shape == (6, *shape[1:])
        torch.testing.assert_close(fitted.masks, fitted.images[:, 0] > 127)

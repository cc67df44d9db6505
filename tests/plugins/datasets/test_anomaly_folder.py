from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from convae_zoo.data import anomalous, load_dataset, one_class
from convae_zoo.errors import DataError, UsageError

BOX = (4, 8, 11, 19)
"""Left, top, right and bottom of the drawn defect, included."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of 24×32 images: twenty to train on, two good ones and two kinds of defect."""
    for number in range(20):
        save(tmp_path / f"train/good/{number:03}.png", picture(number))
    for number in range(2):
        save(tmp_path / f"test/good/{number:03}.png", picture(100 + number))
        for kind in ("crack", "spot"):
            save(tmp_path / f"test/{kind}/{number:03}.png", picture(100, defect=255))
            save(tmp_path / f"ground_truth/{kind}/{number:03}_mask.png", picture(0, defect=255))
    return tmp_path


def picture(level: int, *, defect: int | None = None, size=(32, 24)) -> Image.Image:
    image = Image.new("L", size, level)
    if defect is not None:
        ImageDraw.Draw(image).rectangle(BOX, fill=defect)
    return image


def save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def load(root: Path, split: str = "test", **options):
    return load_dataset("anomaly-folder", split, data=root, **options)


def test_the_test_split_has_a_class_per_folder_and_masks_where_the_defects_are(root: Path):
    images = load(root)
    assert images.images.shape == (6, 3, 24, 32)
    assert images.class_names == ("good", "crack", "spot")
    assert images.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert anomalous(images).tolist() == [False] * 2 + [True] * 4
    torch.testing.assert_close(images.masks, images.images[:, 0] == 255)
    assert images.masks[2, 8:20, 4:12].all()


def test_train_and_val_share_the_good_images_and_have_no_masks(root: Path):
    train, val = load(root, "train"), load(root, "val")
    levels = [images.images[:, 0, 0, 0].tolist() for images in (train, val)]
    assert sorted(levels[0] + levels[1]) == list(range(20))
    assert len(val) < len(train)
    assert train.masks is None
    assert len(one_class(train)) == len(train)
    assert len(load(root, "train", val_fraction=0)) == 20


def test_masks_are_fitted_with_their_images(root: Path):
    images = load(root, image_size=12)
    assert images.image_shape == (3, 12, 12)
    torch.testing.assert_close(images.masks, images.images[:, 0] > 177)


def test_a_mask_may_have_its_images_own_name(root: Path):
    for mask in root.rglob("*_mask.png"):
        mask.rename(mask.with_name(mask.name.replace("_mask", "")))
    assert load(root).masks[2:].any((1, 2)).all()


def test_a_folder_without_ground_truth_has_no_masks(root: Path):
    (root / "ground_truth").rename(root / "elsewhere")
    assert load(root).masks is None


def test_an_image_that_cannot_be_read_is_left_out_with_its_mask(root: Path):
    (root / "test/crack/000.png").write_bytes(b"no image")
    images = load(root)
    assert images.labels.tolist() == [0, 0, 1, 2, 2]
    assert len(images.masks) == 5
    assert "000.png" in images.skipped[0]


def test_a_mask_of_another_size_than_its_image_is_refused(root: Path):
    save(root / "ground_truth/spot/001_mask.png", picture(9, size=(24, 32)))
    for options in ({}, {"image_size": 12}):
        with pytest.raises(DataError, match=r"001_mask.png has 32×24 pixels, its image 24×32"):
            load(root, **options)


def test_an_empty_mask_of_a_defect_is_refused(root: Path):
    save(root / "ground_truth/spot/000_mask.png", picture(0))
    with pytest.raises(DataError, match=r"000_mask.png of a defective image is empty"):
        load(root)


def test_a_missing_mask_is_refused(root: Path):
    (root / "ground_truth/crack/001_mask.png").unlink()
    with pytest.raises(DataError, match=r"test/crack/001.png has no mask at .*001_mask.png"):
        load(root)


def test_images_of_several_sizes_need_an_image_size(root: Path):
    save(root / "test/good/001.png", picture(7, size=(40, 40)))
    with pytest.raises(
        UsageError, match=r"has 40×40 pixels, the first image 24×32; give image_size"
    ):
        load(root)
    assert load(root, image_size=8).image_shape == (3, 8, 8)


@pytest.mark.parametrize("missing", ["train/good", "test/good"])
def test_a_folder_without_good_is_refused(root: Path, missing):
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(DataError, match=missing):
        load(root)


def test_it_needs_a_folder():
    with pytest.raises(UsageError, match="give --data PATH"):
        load_dataset("anomaly-folder", "test")

import os
from pathlib import Path

import pytest
import torch
from convae_datasets import image_folder as module
from convae_datasets.reading import hash_fraction
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from convae_zoo.data import load_dataset
from convae_zoo.errors import ConfigError, DataError, UsageError


def draw(root: Path, *names: str, value: int = 0) -> None:
    """Write images whose level of grey tells them apart, by their place in `names`."""
    for place, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (40, 36), value + place).save(root / name)


def load(root: Path, split: str = "train", **options):
    return load_dataset("image-folder", split, data=root, **options)


def levels(images) -> list[int]:
    return images.images[:, 0, 0, 0].tolist()


def test_images_of_any_size_and_mode_are_read_in_the_order_of_their_names(tmp_path: Path):
    draw(tmp_path, "b.png", "a.png", "c.bmp", value=100)
    Image.new("RGBA", (500, 90), (200, 200, 200, 255)).save(tmp_path / "d.webp")
    images = load(tmp_path, val_fraction=0)
    assert images.images.shape == (4, 3, 32, 32)
    assert levels(images)[:3] == [101, 100, 102]
    assert abs(levels(images)[3] - 200) <= 2
    assert images.labels is None
    assert images.skipped == ()
    assert load(tmp_path, val_fraction=0, image_size=17).image_shape == (3, 17, 17)


def test_the_first_folder_is_the_class(tmp_path: Path):
    draw(tmp_path, "dog/1.png", "cat/1.png", "cat/deep/2.png")
    images = load(tmp_path, val_fraction=0)
    assert images.class_names == ("cat", "dog")
    assert images.labels.tolist() == [0, 0, 1]
    assert images.labels.dtype == torch.int64


def test_images_beside_the_folders_have_a_class_of_their_own(tmp_path: Path):
    draw(tmp_path, "cat/1.png", "top.png")
    images = load(tmp_path, val_fraction=0)
    assert [images.label_name(i) for i in range(2)] == ["cat", "."]


@pytest.mark.parametrize("val", ["val", "test"])
def test_folders_called_train_and_val_are_the_splits_and_share_the_classes(tmp_path: Path, val):
    draw(tmp_path, "train/cat/1.png", "train/dog/1.png", "train/dog/2.png", f"{val}/dog/3.png")
    train, held_out = load(tmp_path), load(tmp_path, "val")
    assert (levels(train), levels(held_out)) == ([0, 1, 2], [3])
    assert train.class_names == held_out.class_names == ("cat", "dog")
    assert held_out.labels.tolist() == [1]


def test_more_files_do_not_move_the_others_to_another_split(tmp_path: Path):
    first = [f"{i:03}.png" for i in range(60)]
    draw(tmp_path, *first)
    before = {split: set(levels(load(tmp_path, split, image_size=2))) for split in ("train", "val")}
    draw(tmp_path, *[f"{i:03}b.png" for i in range(60)], value=100)
    after = {split: set(levels(load(tmp_path, split, image_size=2))) for split in ("train", "val")}
    assert before["train"] | before["val"] == set(range(60))
    for split in ("train", "val"):
        assert before[split] == {level for level in after[split] if level < 100}


@given(
    names=st.sets(st.text("abcdef/0", min_size=1, max_size=8), min_size=2, max_size=40),
    fraction=st.floats(0.01, 0.99),
)
def test_every_image_is_in_one_split_and_none_is_empty(names, fraction):
    files = [(name, Path(name)) for name in sorted(names)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "list_images", lambda _: files)
        splits = module._split(Path("/nowhere"), fraction)
    assert sorted(splits["train"] + splits["val"]) == files
    assert splits["train"]
    assert splits["val"]


def test_the_fraction_that_is_kept_for_validation_is_about_the_one_asked_for():
    kept = sum(hash_fraction(f"photo-{i}.jpg") < 0.1 for i in range(10_000))
    assert 900 < kept < 1100


def test_files_that_cannot_be_read_are_left_out_and_named(tmp_path: Path):
    draw(tmp_path, "a/1.png", "b/1.png", "b/2.png")
    (tmp_path / "a" / "text.png").write_text("no image")
    whole = (tmp_path / "b" / "1.png").read_bytes()
    (tmp_path / "b" / "cut.png").write_bytes(whole[:60])
    (tmp_path / "b" / "empty.jpg").touch()
    (tmp_path / "b" / "gone.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "b" / "pipe.png")
    images = load(tmp_path, val_fraction=0)
    assert levels(images) == [0, 1, 2]
    assert images.labels.tolist() == [0, 1, 1]
    named = [line.split("/")[-1].split()[0] for line in images.skipped if "/b/" in line]
    assert named == ["cut.png", "empty.jpg", "gone.png", "pipe.png"]
    assert len(images.skipped) == 5
    assert not any("\n" in line for line in images.skipped)


def test_hidden_files_other_files_and_loops_of_links_are_passed_over(tmp_path: Path):
    draw(tmp_path, "1.png", ".2.png", ".git/3.png")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "loop").symlink_to(tmp_path)
    images = load(tmp_path, val_fraction=0)
    assert len(images) == 1
    assert images.labels is None


def test_a_folder_that_is_missing_empty_or_without_images_is_one_clear_error(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes.txt").write_text("notes")
    (tmp_path / "unreadable").mkdir()
    (tmp_path / "unreadable" / "a.png").write_text("no image")
    (tmp_path / "unreadable" / "b.png").write_text("no image")
    draw(tmp_path, "single/1.png")
    for name, split, reason in [
        ("missing", "train", "does not exist"),
        ("empty", "train", "holds no images"),
        ("text", "train", "holds no images"),
        ("text/notes.txt", "train", "is a file"),
        ("unreadable", "train", "none of the 1 images .* the first: .*not an image"),
        ("single", "val", "no image for the split 'val'"),
    ]:
        with pytest.raises(DataError, match=reason) as caught:
            load(tmp_path / name, split)
        assert "\n" not in str(caught.value)


def test_no_folder_or_a_wrong_fraction_is_a_mistake_in_the_call(tmp_path: Path):
    with pytest.raises(UsageError, match="give --data PATH"):
        load_dataset("image-folder")
    with pytest.raises(ConfigError, match="val_fraction must be a number from 0 to 1"):
        load(tmp_path, val_fraction=1.5)


def test_many_files_read_at_once_keep_their_places(tmp_path: Path):
    draw(tmp_path, *[f"{i:03}.png" for i in range(250)])
    (tmp_path / "100.png").write_text("no image")
    images = load(tmp_path, val_fraction=0, image_size=1)
    assert levels(images) == [i for i in range(250) if i != 100]

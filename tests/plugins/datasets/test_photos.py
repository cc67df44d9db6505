import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from convae_datasets import photos as module
from convae_datasets.photos import TRAIN, VAL, photos, photos_chelsea_coffee

from convae_zoo.data import ImageSet
from convae_zoo.errors import DataError

FINGERPRINTS = {
    "train": "4331a55255919f6b6b4a0ab4486421368120765cdd79e9e0080c3e5118824675",
    "val": "79c298d39bcf1a36ca13430f1002e391a83e6e9f674b01a9c507435f15d61808",
}
CHELSEA_COFFEE = "91be7885bd9f28e5e849e68f481cf0bdca5e3299aa9061dc5410cd9cd2137f46"


@pytest.fixture(scope="module")
def sets() -> dict[str, ImageSet]:
    return {split: photos(split=split) for split in ("train", "val")}


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("CONVAE_ZOO_CACHE", str(tmp_path / "own"))


def digests(images: torch.Tensor) -> list[bytes]:
    return [image.numpy().tobytes() for image in images]


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_pixels_and_their_order_are_the_same_on_every_machine(sets, split):
    assert sets[split].fingerprint == FINGERPRINTS[split]


def test_the_split_of_older_figures_is_kept_under_its_own_name():
    val = photos_chelsea_coffee(split="val")
    assert (val.name, val.fingerprint) == ("photos-chelsea-coffee", CHELSEA_COFFEE)
    assert photos_chelsea_coffee(split="train").fingerprint == FINGERPRINTS["train"]


def test_there_are_enough_patches_and_every_photograph_has_its_share(sets):
    assert len(sets["train"]) == 24_000
    assert sets["train"].labels.bincount().tolist() == [3000] * 8
    assert sets["val"].labels.bincount().tolist() == [1000] * 8


def test_no_photograph_is_in_both_splits(sets):
    assert not set(sets["train"].class_names) & set(sets["val"].class_names)
    assert sets["train"].class_names == tuple(name for name, _, _ in TRAIN)


def test_no_two_patches_are_alike_in_or_across_the_splits(sets):
    every = digests(sets["train"].images) + digests(sets["val"].images)
    assert len(set(every)) == len(every)


def test_neighbours_are_not_in_sequence(sets):
    images = sets["train"]
    same = (images.labels[1:] == images.labels[:-1]).float().mean()
    assert abs(same - 1 / 8) < 0.02
    batches = images.labels[: 64 * 300].view(300, 64)
    assert all(len(batch.unique()) >= 5 for batch in batches)


def test_flat_patches_are_few(sets):
    grey = sets["train"].images.float().mean(1).flatten(1)
    assert (grey.std(1, correction=0) < 4).float().mean() < 0.1


def test_exemplars_are_one_patch_of_each_photograph(sets):
    chosen = sets["train"].exemplars(8)
    assert sets["train"].labels[chosen].tolist() == list(range(8))


def test_patches_are_cut_from_the_photograph_of_their_label(sets):
    images = sets["val"]
    for label, (_, package, file) in enumerate(VAL):
        source = module._read(package, file)
        views = np.lib.stride_tricks.sliding_window_view(source, (32, 32, 3))[::12, ::12, 0]
        full_size = {v.transpose(2, 0, 1).tobytes() for row in views for v in row}
        mine = digests(images.images[images.labels == label])
        others = digests(images.images[images.labels != label])
        assert len(full_size & set(mine)) > 100
        assert not full_size & set(others)


def test_shrinking_takes_the_rounded_mean_of_each_block():
    source = np.random.default_rng(0).integers(0, 256, (13, 19, 3)).astype(np.uint8)
    for k in module.SCALES:
        h, w = 13 // k, 19 // k
        means = source[: h * k, : w * k].reshape(h, k, w, k, 3).astype(float).mean((1, 3))
        expected = np.floor(means + 0.5).transpose(2, 0, 1)
        assert np.array_equal(module._shrink(source, k), expected)


def test_a_patch_is_flat_where_its_grey_levels_spread_by_less_than_4():
    rng = np.random.default_rng(0)
    for spread in (0, 2, 3, 6, 9):
        patch = (128 + spread * rng.standard_normal((1, 32, 32))).round().astype(np.uint8)
        patch = patch.repeat(3, axis=0)
        assert module._is_flat(patch) == (patch[0].std() < 4)


@pytest.mark.parametrize("size", [8, 31, 100, 224, 300])
def test_patches_of_any_size_are_cut_within_a_bounded_memory(size):
    images = photos(split="val", image_size=size)
    assert images.image_shape == (3, size, size)
    assert images.labels.unique().tolist() == list(range(8))
    assert images.images.numel() <= 8 * module.MOST_BYTES
    assert len(set(digests(images.images))) == len(images)


@pytest.mark.usefixtures("own_cache")
def test_cutting_takes_a_few_seconds_of_one_processor_at_most():
    start = time.process_time()
    photos(split="train")
    assert time.process_time() - start < 6


@pytest.mark.usefixtures("own_cache")
def test_patches_are_cut_once(monkeypatch):
    first = photos(split="val")
    monkeypatch.setattr(module, "_cut", lambda *_: pytest.fail("cut again"))
    again = photos(split="val")
    assert again.fingerprint == first.fingerprint
    assert again.labels.equal(first.labels)
    assert again.class_names == first.class_names


@pytest.mark.usefixtures("own_cache")
def test_the_packages_are_not_run_to_find_the_photographs():
    code = (
        "import sys; from convae_datasets.photos import photos; photos(split='val'); "
        "print([m for m in ('skimage', 'sklearn', 'pooch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_photograph_that_is_missing_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def val(package: str, file: str) -> ImageSet:
        monkeypatch.setattr(module, "VAL", (("cat", package, file),))
        return photos(split="val")

    with pytest.raises(DataError, match=r"data/no_cat.png, which scikit-image ships .* reinstall"):
        val("skimage", "data/no_cat.png")
    with pytest.raises(DataError, match="of no_such_package, which is not installed: pip install"):
        val("no_such_package", "cat.png")
    (tmp_path / "broken_photos").mkdir()
    (tmp_path / "broken_photos" / "__init__.py").touch()
    (tmp_path / "broken_photos" / "cat.png").write_bytes(b"no image")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match=r"cat.png, which broken_photos ships .* cannot be read"):
        val("broken_photos", "cat.png")


def test_without_the_weights_distribution_one_line_says_to_install_it(monkeypatch):
    found = module.find_spec
    monkeypatch.setattr(module, "find_spec", lambda n: None if n == "convae_weights" else found(n))
    with pytest.raises(DataError) as caught:
        photos(split="val")
    assert str(caught.value) == (
        "photos needs photographs/cold-ripple.jpg of convae-zoo-weights, which is not installed: "
        "pip install convae-zoo-weights"
    )
    photos(split="train")
    photos_chelsea_coffee(split="val")

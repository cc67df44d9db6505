"""Random crops of whole pictures: what is cut, what it depends on, and training with it."""

import pytest
import torch
from PIL import Image

import convae_zoo as zoo
from convae_zoo.data import ImageSet, PictureSet, large, load_pictures
from convae_zoo.data.crops import Crops
from convae_zoo.data.large import is_mapped
from convae_zoo.errors import DataError, UsageError
from convae_zoo.registry.recipe_settings import CropConfig
from tiny_runs import Killed, image_set, killed_at, tiny_train

CPU = torch.device("cpu")
SHAPE = (3, 8, 8)


def pictures(*sizes):
    """Pictures whose pixels name their picture, row and column."""
    made = []
    for number, (height, width) in enumerate(sizes):
        rows = torch.arange(height).view(-1, 1).expand(height, width)
        columns = torch.arange(width).expand(height, width)
        made.append(torch.stack([torch.full_like(rows, number), rows, columns]).to(torch.uint8))
    return PictureSet(name="grid", split="train", pictures=tuple(made))


def cut(found, *, epoch=1, seed=0, numbers=None, shape=SHAPE, **settings):
    crops = Crops(found, CropConfig(**settings), shape, seed=seed, device=CPU)
    numbers = torch.arange(len(crops)) if numbers is None else torch.tensor(numbers)
    return torch.cat(list(crops.batches(epoch, numbers.split(7))))


def test_at_scale_1_a_crop_is_a_part_of_its_picture_pixel_by_pixel():
    crops = cut(pictures((20, 30), (9, 8)), scale=1, count=50)
    assert crops.shape == (100, *SHAPE)
    for number, crop in enumerate(crops):
        top, left = crop[1, 0, 0], crop[2, 0, 0]
        assert (crop[0] == number % 2).all()
        assert torch.equal(crop[1], (top + torch.arange(8)).view(-1, 1).expand(8, 8))
        assert torch.equal(crop[2], (left + torch.arange(8)).expand(8, 8))
    tops, lefts = crops[::2, 1, 0, 0], crops[::2, 2, 0, 0]
    assert (tops.min(), lefts.min()) == (0, 0)
    assert tops.max() > 9
    assert lefts.max() > 18


def test_grey_and_colour_pictures_go_into_one_batch():
    (colour,) = pictures((20, 30)).pictures
    found = PictureSet(name="mixed", split="train", pictures=(colour[:1], colour))
    assert cut(found, count=3).shape == (6, *SHAPE)
    assert cut(found, count=3, shape=(1, 8, 8)).shape == (6, 1, 8, 8)


def test_the_scale_is_drawn_within_its_range_and_within_the_picture():
    crops = cut(pictures((64, 64)), scale=(2, 4), count=400)[:, 1].float()
    scales = (crops[:, -1, 0] - crops[:, 0, 0]) / 7
    assert 1.8 <= scales.min() < 2.2
    assert 3.7 < scales.max() <= 4.2
    small = cut(pictures((12, 40)), scale=(2, 4), count=20)[:, 1].float()
    assert ((small[:, -1, 0] - small[:, 0, 0]) / 7 <= 12 / 8 + 0.1).all()


def test_crops_depend_on_seed_epoch_and_number_alone():
    found = pictures((20, 30), (16, 16))
    whole = cut(found, count=8)
    assert torch.equal(cut(found, count=8), whole)
    assert torch.equal(cut(found, count=8, numbers=[5, 2, 11]), whole[[5, 2, 11]])
    assert not torch.equal(cut(found, count=8, epoch=2), whole)
    assert not torch.equal(cut(found, count=8, seed=1), whole)


def test_a_picture_smaller_than_a_crop_is_enlarged_and_grey_models_get_grey():
    found = pictures((5, 9), (20, 20))
    assert cut(found, count=2).shape == (4, *SHAPE)
    assert cut(found, count=2, shape=(1, 8, 8)).shape == (4, 1, 8, 8)
    wide = cut(pictures((40, 40)), scale=2, count=3, shape=(3, 4, 16))
    assert wide.shape == (3, 3, 4, 16)


def whole_train(**settings):
    found = pictures((20, 30), (16, 16), (12, 40), (9, 9))
    options = {"augment": "crop(count=12) + flip", "epochs": 2, "shuffle": True} | settings
    return tiny_train(dataset=(found, image_set(10, "val")), **options)


def test_a_run_on_crops_that_was_killed_resumes_bit_for_bit(tmp_path):
    whole = whole_train()
    assert len(whole.train_losses) == 2 * 3
    with killed_at(4), pytest.raises(Killed):
        whole_train(out=tmp_path / "run", checkpoint_every=1)
    resumed = whole_train(out=tmp_path / "run", resume=True)
    assert resumed.train_losses == whole.train_losses
    assert resumed.val_losses == whole.val_losses
    assert whole_train(seed=1).train_losses != whole.train_losses


def test_images_larger_than_the_models_are_cropped_too():
    dataset = (image_set(10, size=20), image_set(5, "val", size=8))
    result = tiny_train(dataset=dataset, augment="crop(count=4)", epochs=1)
    assert result.images == 40


def test_pictures_that_leave_nothing_to_crop_are_one_line():
    with pytest.raises(UsageError, match="larger than the model's 3×8×8, and dataset 'noise' has"):
        tiny_train(augment="crop")
    with pytest.raises(UsageError, match="'mnist' has no whole pictures to crop; use image-folder"):
        tiny_train(dataset="mnist", augment="crop")
    with pytest.raises(DataError, match=r"must give uint8 pictures C×H×W, got torch\.float"):
        PictureSet(name="p", split="train", pictures=(torch.zeros(3, 8, 8),))
    with pytest.raises(DataError, match="dataset 'p' has no pictures in split 'train'"):
        PictureSet(name="p", split="train", pictures=())


@pytest.fixture
def folder(tmp_path):
    for index in range(12):
        colour = (20 * index, 255 - 20 * index, 9)
        Image.new("RGB", (100 + index, 80), colour).save(tmp_path / f"{index:02}.png")
    (tmp_path / "torn.png").write_bytes(b"no image")
    return tmp_path


def test_image_folder_reads_whole_pictures_scaled_down_to_eight_times_the_crop(folder):
    found = load_pictures("image-folder", data=folder, image_size=8)
    train = zoo.load_dataset("image-folder", data=folder, image_size=8)
    assert {p.shape[1] for p in found.pictures} == {64}
    assert all(80 <= p.shape[2] <= 89 for p in found.pictures)
    assert found.fitted(SHAPE).fingerprint == train.fingerprint
    assert len(found.skipped) == 1
    large_crops = load_pictures("image-folder", data=folder, image_size=32)
    assert large_crops.pictures[0].shape[1] == 80


def test_pictures_that_do_not_fit_memory_are_kept_in_files(folder, monkeypatch):
    resident = load_pictures("image-folder", data=folder)
    monkeypatch.setattr(large, "free_memory", lambda: 0)
    streamed = load_pictures("image-folder", data=folder)
    assert all(map(is_mapped, streamed.pictures))
    assert not any(map(is_mapped, resident.pictures))
    assert streamed.fingerprint == resident.fingerprint
    assert torch.equal(cut(streamed, count=3), cut(resident, count=3))


def test_validation_is_on_the_same_images_with_and_without_crops(folder):
    settings = {"dataset": "image-folder", "data": folder, "epochs": 1, "learning_rate": 1e-12}
    with_crops = tiny_train(augment="crop", **settings)
    without = tiny_train(**settings)
    assert with_crops.val_losses == pytest.approx(without.val_losses, rel=1e-5)


def test_photos_has_its_whole_photographs():
    found = load_pictures("photos", "train")
    assert [tuple(p.shape) for p in found.pictures][:2] == [(3, 512, 512), (3, 427, 640)]
    assert len(found) == 8
    assert isinstance(zoo.load_dataset("photos", "val"), ImageSet)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device")
def test_crops_on_a_gpu_are_those_of_the_cpu_up_to_rounding():
    found, config = pictures((20, 30), (40, 40)), CropConfig(count=8)
    both = [
        next(Crops(found, config, SHAPE, seed=0, device=d).batches(1, [torch.arange(16)])).cpu()
        for d in (CPU, torch.device("cuda"))
    ]
    assert (both[0].int() - both[1].int()).abs().max() <= 1

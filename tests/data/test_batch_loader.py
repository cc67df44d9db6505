"""The batch loader: the same batches from memory, from a mapped file, and on a GPU."""

import threading

import pytest
import torch
from PIL import Image

import convae_zoo as zoo
from convae_zoo.data import ImageSet, large
from convae_zoo.data.batch_loader import PREFETCH, BatchLoader
from convae_zoo.data.large import empty_images, is_mapped
from tiny_runs import image_set, tiny_train

CPU = torch.device("cpu")


def images(count=50):
    return image_set(count).images


def mapped(tensor):
    room = empty_images(len(tensor), tuple(tensor.shape[1:]), budget=0)
    room.copy_(tensor)
    assert is_mapped(room)
    assert not is_mapped(tensor)
    return room


@pytest.mark.parametrize("batch_size", [7, 50, 64])
def test_streamed_batches_are_those_of_a_resident_set_in_the_same_order(batch_size):
    data = images()
    order = torch.randperm(50, generator=torch.Generator().manual_seed(1)).split(batch_size)
    resident = list(BatchLoader(data, CPU).batches(order))
    streamed = list(BatchLoader(mapped(data), CPU, streamed=True).batches(order))
    assert [len(b) for b in resident] == [len(o) for o in order]
    for got, expected, chosen in zip(streamed, resident, order, strict=True):
        assert torch.equal(got, expected)
        assert torch.equal(got, data[chosen])


def test_losses_of_a_streamed_set_are_those_of_a_resident_one_to_the_bit():
    val = image_set(9, "val")
    results = [
        tiny_train(
            dataset=(ImageSet(name="noise", split="train", images=i), val), epochs=2, shuffle=True
        )
        for i in (images(), mapped(images()))
    ]
    assert results[0].train_losses == results[1].train_losses
    assert results[0].val_losses == results[1].val_losses


def test_a_loader_closed_early_leaves_no_thread_behind():
    before = set(threading.enumerate())
    batches = BatchLoader(images(), CPU, streamed=True).batches(torch.arange(50).split(2))
    next(batches)
    batches.close()
    assert set(threading.enumerate()) == before


def test_an_error_while_gathering_reaches_the_caller():
    batches = BatchLoader(images(), CPU, streamed=True).batches(
        [torch.tensor([99])] * (PREFETCH + 2)
    )
    with pytest.raises(IndexError):
        next(batches)


def test_a_folder_too_large_for_the_memory_is_read_into_a_mapped_file(tmp_path, monkeypatch):
    for index in range(6):
        Image.new("RGB", (8, 8), (index * 40, 0, 9)).save(tmp_path / f"{index}.png")
    options = {"path": str(tmp_path), "image_size": 8}
    resident = zoo.load_dataset("image-folder", **options)
    monkeypatch.setattr(large, "free_memory", lambda: 0)
    monkeypatch.setenv("CONVAE_ZOO_CACHE", str(tmp_path / ".cache"))
    streamed = zoo.load_dataset("image-folder", **options)
    assert is_mapped(streamed.images)
    assert not is_mapped(resident.images)
    assert torch.equal(streamed.images, resident.images)
    assert streamed.fingerprint == resident.fingerprint
    assert list((tmp_path / ".cache").iterdir()) == []


def test_a_file_that_cannot_be_made_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CONVAE_ZOO_CACHE", str(tmp_path / "file"))
    with pytest.raises(
        zoo.ZooError, match=r"5 images take .* cannot be created: File exists"
    ) as caught:
        empty_images(5, (3, 8, 8), budget=0)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device")
@pytest.mark.parametrize("budget", [0, 1 << 30])
def test_batches_on_a_gpu_are_the_same_resident_or_streamed(budget):
    data = images()
    loader = BatchLoader(data, torch.device("cuda"), budget=budget)
    assert loader.resident == (budget > 0)
    order = torch.arange(50).to(loader.index_device).split(7)
    for got, chosen in zip(loader.batches(order), order, strict=True):
        assert got.is_cuda
        assert torch.equal(got.cpu(), data[chosen.cpu()])

"""Each set is read from files of its real format that the test writes."""

import functools
import gzip
import hashlib
import http.server
import os
import pickle
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
import pytest
import scipy.io
import torch
from convae_datasets import torchvision_sets
from convae_datasets.torchvision_sets import cache_folder
from torchvision import datasets

from convae_zoo.data import load_dataset
from convae_zoo.errors import DataError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, so that no test sees the user's own."""
    monkeypatch.setattr(torchvision_sets, "cache_folder", lambda: tmp_path / "cache" / "sets")
    return tmp_path / "cache" / "sets"


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def write_cifar(root: Path, monkeypatch: pytest.MonkeyPatch, fine: str = "") -> np.ndarray:
    """Write two images a batch, and have torchvision take these files for the originals."""
    source = datasets.CIFAR100 if fine else datasets.CIFAR10
    folder = root / source.base_folder
    folder.mkdir(parents=True)
    images = noise(12, 3, 32, 32)

    def write(name: str, content: object) -> list[str]:
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, md5(folder / name)]

    def batch(start: int) -> dict[str, object]:
        pixels = images[start : start + 2].reshape(2, -1)
        return {"data": pixels, "fine_labels" if fine else "labels": [start % 3, 1]}

    names = [name for name, _ in source.train_list]
    monkeypatch.setattr(
        source, "train_list", [write(name, batch(2 * i)) for i, name in enumerate(names)]
    )
    monkeypatch.setattr(source, "test_list", [write(source.test_list[0][0], batch(10))])
    name, checksum = write(source.meta["filename"], {source.meta["key"]: ["cat", "dog", "fish"]})
    monkeypatch.setattr(source, "meta", {**source.meta, "filename": name, "md5": checksum})
    return images


@pytest.mark.parametrize(("name", "fine"), [("cifar10", ""), ("cifar100", "fine_")])
def test_cifar_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fine: str):
    images = write_cifar(tmp_path, monkeypatch, fine)
    train = load_dataset(name, "train", data=tmp_path)
    held_out = load_dataset(name, "val", data=tmp_path)
    count = 2 if fine else 10
    assert np.array_equal(train.images.numpy(), images[:count])
    assert train.labels.tolist() == [0, 1, 2, 1, 1, 1, 0, 1, 2, 1][:count]
    assert np.array_equal(held_out.images.numpy(), images[10:])
    assert held_out.class_names == ("cat", "dog", "fish")
    assert held_out.license == "not stated by the source"


def test_cifar_files_that_are_not_the_originals_are_refused_before_they_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_cifar(tmp_path, monkeypatch)
    sign = tmp_path / "opened"

    class Harm:
        def __reduce__(self):
            return Path.touch, (sign,)

    for name in ("data_batch_1", "test_batch", "batches.meta"):
        path = tmp_path / "cifar-10-batches-py" / name
        whole = path.read_bytes()
        path.write_bytes(pickle.dumps(Harm()))
        with pytest.raises(
            DataError, match=r"damaged or not the original .*delete it and download it again"
        ):
            load_dataset("cifar10", data=tmp_path)
        path.write_bytes(whole)
    assert not sign.exists()


def write_idx(folder: Path, *, packed: bool = False, size: int = 28) -> np.ndarray:
    folder.mkdir(parents=True)
    images = noise(7, size, size)
    for stem, part in (("train", slice(0, 5)), ("t10k", slice(5, 7))):
        labels = np.arange(7, dtype=np.uint8)[part]
        for name, array in ((f"{stem}-images-idx3", images[part]), (f"{stem}-labels-idx1", labels)):
            head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            content = head + array.tobytes()
            path = folder / f"{name}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(content) if packed else content)
    return images


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("folder", ["{}/raw", "raw", "."])
@pytest.mark.parametrize(
    ("name", "layout"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")]
)
def test_mnist_is_read_from_every_layout_packed_or_not(
    tmp_path: Path, name: str, layout: str, folder: str, packed: bool
):
    root = tmp_path / "data"
    images = write_idx(root / folder.format(layout), packed=packed)
    before = sorted(root.rglob("*"))
    train, held_out = (load_dataset(name, split, data=root) for split in ("train", "val"))
    assert np.array_equal(train.images.numpy(), images[:5, None])
    assert train.labels.tolist() == [0, 1, 2, 3, 4]
    assert held_out.labels.tolist() == [5, 6]
    assert np.array_equal(held_out.images.numpy(), images[5:, None])
    assert len(train.class_names) == 10
    assert sorted(root.rglob("*")) == before


def test_mnist_s_layout_is_the_one_torchvision_reads(tmp_path: Path):
    write_idx(tmp_path / "MNIST" / "raw")
    theirs = datasets.MNIST(str(tmp_path), train=False)
    ours = load_dataset("mnist", "val", data=tmp_path)
    assert torch.equal(ours.images[:, 0], theirs.data)
    assert torch.equal(ours.labels, theirs.targets)


def test_mnist_files_that_are_cut_short_or_do_not_go_together_are_refused(tmp_path: Path):
    write_idx(tmp_path / "raw")
    images = tmp_path / "raw" / "train-images-idx3-ubyte"
    labels = tmp_path / "raw" / "train-labels-idx1-ubyte"
    whole = images.read_bytes()
    for path, content, reason in [
        (images, whole[:-1], "cut short or altered"),
        (images, b"", "no idx file"),
        (images, labels.read_bytes(), "do not go together"),
        (labels, b"\0\0\x08\x01\0\0\0\x02ab", "do not go together"),
        (labels, b"\0\0\x08\x01\0\0\0\x05\0\1\2\3\x0a", "label 10 is none of 10 classes"),
    ]:
        kept = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"mnist in .* is damaged .*{reason}"):
            load_dataset("mnist", data=tmp_path)
        path.write_bytes(kept)


def write_svhn(root: Path, monkeypatch: pytest.MonkeyPatch, count: int = 3) -> np.ndarray:
    root.mkdir(parents=True, exist_ok=True)
    images = noise(count, 3, 32, 32)
    listed = {}
    for split, (url, name, _) in datasets.SVHN.split_list.items():
        labels = np.array([[10], [1], [9]][:count], np.uint8)
        scipy.io.savemat(root / name, {"X": images.transpose(2, 3, 1, 0), "y": labels})
        listed[split] = [url, name, md5(root / name)]
    monkeypatch.setattr(datasets.SVHN, "split_list", listed)
    return images


@pytest.mark.parametrize("count", [1, 3])
def test_svhn_is_read_and_its_label_10_is_the_digit_0(tmp_path: Path, monkeypatch, count: int):
    images = write_svhn(tmp_path, monkeypatch, count)
    for split in ("train", "val"):
        read = load_dataset("svhn", split, data=tmp_path)
        assert np.array_equal(read.images.numpy(), images)
        assert [read.label_name(i) for i in range(count)] == ["0", "1", "9"][:count]
        assert "non-commercial" in read.license


def test_stl10_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    images = noise(3, 3, 96, 96)
    (folder / "class_names.txt").write_text("airplane\nbird\ncar\n")
    for attribute in ("train_list", "test_list"):
        listed = []
        for name, _ in getattr(datasets.STL10, attribute):
            part = images[:2] if attribute == "train_list" else images[2:]
            labels = np.array([3, 1] if attribute == "train_list" else [2], np.uint8)
            # Columns first, as in Matlab; labels from 1.
            (labels if name.endswith("y.bin") else part.transpose(0, 1, 3, 2)).tofile(folder / name)
            listed.append([name, md5(folder / name)])
        monkeypatch.setattr(datasets.STL10, attribute, listed)
    train, held_out = (load_dataset("stl10", split, data=tmp_path) for split in ("train", "val"))
    assert np.array_equal(train.images.numpy(), images[:2])
    assert [train.label_name(i) for i in range(2)] == ["car", "airplane"]
    assert np.array_equal(held_out.images.numpy(), images[2:])
    assert held_out.labels.tolist() == [1]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cifar10", "cifar-10-batches-py/data_batch_1"),
        ("cifar100", "cifar-100-python/train"),
        ("mnist", r"train-images-idx3-ubyte\[.gz\]"),
        ("fashion-mnist", r"train-images-idx3-ubyte\[.gz\]"),
        ("svhn", "train_32x32.mat"),
        ("stl10", "stl10_binary/train_X.bin"),
    ],
)
def test_a_set_that_is_not_there_says_which_files_it_needs_and_how_to_get_them(
    tmp_path: Path, name: str, file: str
):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(
            DataError, match=rf"{name} is missing: .* has no {file}.*--download .*--data PATH"
        ):
            load_dataset(name, data=path)
    with pytest.raises(DataError, match="file is a file, not a folder"):
        load_dataset(name, data=tmp_path / "file")


def test_without_a_path_the_cache_is_read(cache: Path):
    with pytest.raises(DataError, match=f"mnist is missing: {cache} has no"):
        load_dataset("mnist")
    write_idx(cache / "MNIST" / "raw")
    assert len(load_dataset("mnist")) == 5


def test_the_cache_is_the_users_unless_the_variable_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    assert cache_folder() == Path(os.environ["CONVAE_ZOO_CACHE"]) / "datasets"
    monkeypatch.delenv("CONVAE_ZOO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "convae_zoo" / "datasets"


def test_fashion_mnist_is_found_where_a_package_installed_it(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    images = write_idx(tmp_path / "installed", packed=True, size=4)
    found = attrs.evolve(torchvision_sets.FASHION_MNIST, installed=tmp_path / "installed")
    monkeypatch.setattr(torchvision_sets, "FASHION_MNIST", found)
    assert np.array_equal(load_dataset("fashion-mnist").images[:, 0].numpy(), images[:5])
    write_idx(cache, size=6)
    assert load_dataset("fashion-mnist").image_shape == (1, 6, 6)


@pytest.mark.skipif(
    not (DEBIAN / "train-images-idx3-ubyte.gz").exists(),
    reason="Debian's package dataset-fashion-mnist is not installed",
)
def test_fashion_mnist_is_read_from_debian_s_package():
    train, held_out = (load_dataset("fashion-mnist", split) for split in ("train", "val"))
    assert train.images.shape == (60_000, 1, 28, 28)
    assert train.labels.bincount().tolist() == [6000] * 10
    assert held_out.labels.bincount().tolist() == [1000] * 10
    assert train.label_name(0) == "Ankle boot"
    assert train.license == "MIT"
    assert train.fitted((3, 32, 32)).image_shape == (3, 32, 32)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with MNIST's files that a server on this machine gives out as the originals."""
    folder = tmp_path / "served"
    write_idx(folder, packed=True)
    listed = [(name, md5(folder / name)) for name, _ in datasets.MNIST.resources]
    monkeypatch.setattr(datasets.MNIST, "resources", listed)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        monkeypatch.setattr(datasets.MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder
        server.shutdown()


def test_a_download_fetches_what_is_missing_once_and_leaves_only_the_files(
    tmp_path: Path, served: Path
):
    root = tmp_path / "root"
    assert len(load_dataset("mnist", data=root, download=True)) == 5
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert names == sorted(f"MNIST/raw/{path.stem}" for path in served.iterdir())
    for path in served.iterdir():
        path.unlink()
    assert len(load_dataset("mnist", "val", data=root, download=True)) == 2


def test_a_download_that_breaks_off_leaves_no_file_behind(tmp_path: Path, served: Path):
    (served / "t10k-labels-idx1-ubyte.gz").write_bytes(b"cut short")
    root = tmp_path / "root"
    with pytest.raises(DataError, match=r"mnist could not be downloaded .*--data PATH") as caught:
        load_dataset("mnist", data=root, download=True)
    assert "\n" not in str(caught.value)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist", "fashion-mnist", "svhn", "stl10"])
def test_a_download_without_a_network_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    # A proxy at a closed port: no request leaves this machine.
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(DataError, match=f"{name} could not be downloaded into") as caught:
        load_dataset(name, data=tmp_path / "root", download=True)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "root").iterdir()) == []


def test_a_server_that_stalls_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("CONVAE_ZOO_TIMEOUT", "0.2")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(datasets.MNIST, "mirrors", [address])
        with pytest.raises(DataError, match=r"mnist could not be downloaded .*timed out"):
            load_dataset("mnist", data=tmp_path / "root", download=True)
    assert socket.getdefaulttimeout() is None


@pytest.mark.usefixtures("served")
def test_offline_nothing_is_downloaded_and_present_files_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    load_dataset("mnist", data=tmp_path / "root", download=True)
    monkeypatch.setenv("CONVAE_ZOO_OFFLINE", "1")
    assert len(load_dataset("mnist", data=tmp_path / "root", download=True)) == 5
    with pytest.raises(DataError, match=r"cannot download mnist: CONVAE_ZOO_OFFLINE .* --data"):
        load_dataset("mnist", data=tmp_path / "other", download=True)
    assert not (tmp_path / "other").exists()


def test_a_download_into_a_place_that_cannot_be_made_is_one_clear_error(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="could not be downloaded into"):
        load_dataset("cifar10", data=tmp_path / "file" / "below", download=True)

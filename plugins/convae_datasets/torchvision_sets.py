"""Torchvision's datasets: read from a folder, downloaded only on request.

A folder holds a set in torchvision's layout. Split ``val`` is torchvision's test split. Where no
folder is given it is ``datasets`` in the cache.

CIFAR's files are pickles: torchvision compares their checksums with the originals' before it opens
one, and a file that differs is refused.
"""

import abc
import tempfile
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import numpy as np
import torch

from convae_datasets.idx import read_idx
from convae_zoo import files
from convae_zoo.data import ImageSet
from convae_zoo.errors import DataError
from convae_zoo.weights import check_online, stalls_bounded

Content: TypeAlias = "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], tuple[str, ...]]"
"""Images uint8 N×C×H×W, labels, class names."""

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_NAMED = 3


def cache_folder() -> Path:
    """Return the default folder of the sets."""
    return files.cache_folder() / "datasets"


@attrs.frozen
class TorchvisionSet(abc.ABC):
    """A dataset that torchvision can download; calling it reads a split.

    Attributes:
        name: the dataset's name.
        class_name: of torchvision's class.
    """

    name: str
    class_name: str

    @property
    def source(self) -> Any:
        """Torchvision's class."""
        from torchvision import datasets  # imports its models and torch._dynamo

        return getattr(datasets, self.class_name)

    def __call__(self, *, split: str, path: str | None = None, download: bool = False) -> ImageSet:
        """Read a split as uint8 N×C×H×W with labels and class names.

        Raises:
            DataError: the files are missing, damaged, or cannot be downloaded.
        """
        root = self.default_folder(split) if path is None else Path(path).expanduser()
        if self.missing(root, split) and download:
            self._download(root, split)
        if missing := self.missing(root, split):
            raise DataError(self._not_there(root, missing))
        try:
            images, labels, names = self.read(root, split)
        except (OSError, RuntimeError, ValueError) as error:
            raise DataError(
                f"{self.name} in {root} is damaged or not the original ({_line(error)}); "
                "delete it and download it again with --download (download=True)"
            ) from error
        return ImageSet(
            name=self.name,
            split=split,
            images=torch.from_numpy(np.ascontiguousarray(images)),
            labels=torch.from_numpy(labels.astype(np.int64)),
            class_names=names,
        )

    def default_folder(self, split: str) -> Path:  # noqa: ARG002 - for sets with more than one
        """Return the folder to read where none is given."""
        return cache_folder()

    def missing(self, root: Path, split: str) -> list[str]:
        """List the files that a split needs and a folder does not hold."""
        return [file for file in self.files(split) if not (root / file).is_file()]

    @abc.abstractmethod
    def files(self, split: str) -> list[str]:
        """List the files that a split needs, relative to the folder."""

    @abc.abstractmethod
    def read(self, root: Path, split: str) -> Content:
        """Read a split from a folder that holds its files."""

    def fetch(self, root: Path, split: str) -> None:
        """Have torchvision download a split's files into a folder."""
        self.source(str(root), train=split == "train", download=True)

    def _download(self, root: Path, split: str) -> None:
        others = "get its files elsewhere and give their folder with --data PATH (data=...)"
        check_online(f"cannot download {self.name}", others, DataError)
        # Into a temporary folder, then moved: an interrupted download leaves no file in place.
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as beside:
                with stalls_bounded():
                    self.fetch(Path(beside), split)
                for file in sorted(Path(beside).rglob("*")):
                    if file.is_file() and file.suffix != ".gz":
                        target = root / file.relative_to(beside)
                        target.parent.mkdir(parents=True, exist_ok=True)
                        file.replace(target)
        except (OSError, RuntimeError, HTTPException) as error:
            raise DataError(
                f"{self.name} could not be downloaded into {root} ({_line(error)}); {others}"
            ) from error

    def _not_there(self, root: Path, missing: list[str]) -> str:
        wanted = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
        where = f"{root} is a file, not a folder" if root.is_file() else f"{root} has no {wanted}"
        return (
            f"{self.name} is missing: {where}; download it with --download (download=True), or "
            "give the folder that holds it with --data PATH (data=...)"
        )


class CifarSet(TorchvisionSet):
    """CIFAR-10 or CIFAR-100: colour 32×32."""

    def files(self, split: str) -> list[str]:
        """List the batches of both splits, which torchvision checks together."""
        del split
        cls = self.source
        names = [name for name, _ in cls.train_list + cls.test_list] + [cls.meta["filename"]]
        return [f"{cls.base_folder}/{name}" for name in names]

    def read(self, root: Path, split: str) -> Content:
        """Read a split; torchvision checks the files first."""
        read = self.source(str(root), train=split == "train")
        return read.data.transpose(0, 3, 1, 2), np.array(read.targets), tuple(read.classes)


@attrs.frozen
class IdxSet(TorchvisionSet):
    """MNIST or Fashion-MNIST: grey 28×28, in idx files.

    They may be gzipped or not, in torchvision's layout or directly in the folder.

    Attributes:
        class_names: one per label.
        installed: a folder that a system's package puts the files in.
    """

    class_names: tuple[str, ...]
    installed: Path | None = None

    def default_folder(self, split: str) -> Path:
        """Return the user's cache, or else the system's folder where it holds the files."""
        if self.installed and self.missing(cache_folder(), split):
            return cache_folder() if self.missing(self.installed, split) else self.installed
        return cache_folder()

    def files(self, split: str) -> list[str]:
        """List the images and the labels of a split."""
        stem = "train" if split == "train" else "t10k"
        return [f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte"]

    def missing(self, root: Path, split: str) -> list[str]:
        """List the files that are missing, gzipped or not."""
        return [f"{file}[.gz]" for file in self.files(split) if self._find(root, file) is None]

    def read(self, root: Path, split: str) -> Content:
        """Read a split."""
        images, labels = (read_idx(self._find(root, file) or root) for file in self.files(split))
        if images.ndim != 3 or labels.shape != images.shape[:1]:  # noqa: PLR2004 - N×H×W
            raise ValueError(f"images {images.shape} and labels {labels.shape} do not go together")
        if labels.max(initial=0) >= len(self.class_names):
            raise ValueError(f"label {labels.max()} is none of {len(self.class_names)} classes")
        return images[:, None], labels, self.class_names

    def _find(self, root: Path, file: str) -> Path | None:
        folders = (root / self.class_name / "raw", root / "raw", root)
        found = (folder / (file + end) for folder in folders for end in ("", ".gz"))
        return next((path for path in found if path.is_file()), None)


class SvhnSet(TorchvisionSet):
    """SVHN, cropped digits: colour 32×32."""

    def files(self, split: str) -> list[str]:
        """List a split's one file."""
        return [self.source.split_list[_split(split)][1]]

    def read(self, root: Path, split: str) -> Content:
        """Read a split; torchvision checks the file first."""
        read = self.source(str(root), split=_split(split))
        return read.data, np.atleast_1d(read.labels), DIGITS

    def fetch(self, root: Path, split: str) -> None:
        """Have torchvision download a split's file."""
        self.source(str(root), split=_split(split), download=True)


class Stl10Set(TorchvisionSet):
    """STL-10, the labelled images: colour 96×96."""

    def files(self, split: str) -> list[str]:
        """List the files of both splits, which torchvision checks together."""
        del split
        cls = self.source
        names = [name for name, _ in cls.train_list + cls.test_list] + [cls.class_names_file]
        return [f"{cls.base_folder}/{name}" for name in names]

    def read(self, root: Path, split: str) -> Content:
        """Read a split; torchvision checks the files first."""
        read = self.source(str(root), split=_split(split))
        return read.data, read.labels, tuple(read.classes)

    def fetch(self, root: Path, split: str) -> None:
        """Have torchvision download the archive."""
        self.source(str(root), split=_split(split), download=True)


def _split(split: str) -> str:
    return "train" if split == "train" else "test"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


CIFAR10 = CifarSet("cifar10", "CIFAR10")
CIFAR100 = CifarSet("cifar100", "CIFAR100")
MNIST = IdxSet("mnist", "MNIST", DIGITS)
FASHION_MNIST = IdxSet(
    "fashion-mnist",
    "FashionMNIST",
    CLOTHES,
    Path("/usr/share/datasets/fashion-mnist"),  # Debian's package dataset-fashion-mnist
)
SVHN = SvhnSet("svhn", "SVHN")
STL10 = Stl10Set("stl10", "STL10")

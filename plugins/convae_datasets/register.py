"""What the plugin registers; no torch here."""

from convae_datasets.configs import (
    AnomalyFolderConfig,
    DefectsConfig,
    ImageFolderConfig,
    PhotosConfig,
    TorchvisionConfig,
)
from convae_zoo import DatasetSpec, Registrar, hookimpl

NOT_STATED = "not stated by the source"

PACKAGES_LICENSE = (
    "as the packages state it: chelsea, coffee, retina CC0; astronaut, hubble, rocket public "
    "domain; ihc no known restrictions; china, flower CC BY 2.0; motorcycle not stated"
)
"""Of the photographs in scikit-image and scikit-learn."""


def _torchvision(name: str, summary: str, source: str, terms: str = NOT_STATED) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        factory=f"convae_datasets.torchvision_sets:{name.replace('-', '_').upper()}",
        config=TorchvisionConfig,
        summary=summary,
        source=source,
        license=terms,
    )


DATASETS = (
    DatasetSpec(
        name="photos",
        factory="convae_datasets.photos:photos",
        pictures="convae_datasets.photos:whole_photos",
        config=PhotosConfig,
        summary="patches of 16 photographs that come as files with the packages installed",
        source=(
            "scikit-image (skimage/data), scikit-learn (sklearn/datasets/images) and "
            "convae-zoo-weights (convae_weights/photographs)"
        ),
        license=f"{PACKAGES_LICENSE}; the six of convae-zoo-weights LGPL-3.0-only",
    ),
    DatasetSpec(
        name="photos-chelsea-coffee",
        factory="convae_datasets.photos:photos_chelsea_coffee",
        config=PhotosConfig,
        summary="photos with the validation split it had at first, of two photographs",
        source="scikit-image (skimage/data) and scikit-learn (sklearn/datasets/images)",
        license=PACKAGES_LICENSE,
    ),
    DatasetSpec(
        name="defects",
        factory="convae_datasets.defects:defects",
        config=DefectsConfig,
        summary="photographs of a brick wall, and of one with drawn defects and their masks",
        source="scikit-image (skimage/data): brick, grass, gravel",
        license="CC0",
        splits=("train", "test"),
    ),
    DatasetSpec(
        name="image-folder",
        factory="convae_datasets.image_folder:image_folder",
        pictures="convae_datasets.image_folder:whole_pictures",
        config=ImageFolderConfig,
        summary="any folder of images; folders in it are classes",
        source="the user's own files",
        license="that of the user's files",
    ),
    DatasetSpec(
        name="anomaly-folder",
        factory="convae_datasets.anomaly_folder:anomaly_folder",
        config=AnomalyFolderConfig,
        summary="normal images and defects with masks, in the folders of MVTec AD",
        source="the user's own files",
        license="that of the user's files",
        splits=("train", "val", "test"),
    ),
    _torchvision(
        "cifar10",
        "60,000 colour images 32×32 in 10 classes",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    _torchvision(
        "cifar100",
        "60,000 colour images 32×32 in 100 classes",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    _torchvision(
        "mnist",
        "70,000 handwritten digits, grey, 28×28",
        "http://yann.lecun.com/exdb/mnist/",
    ),
    _torchvision(
        "fashion-mnist",
        "70,000 pictures of clothes, grey, 28×28, in 10 classes",
        "https://github.com/zalandoresearch/fashion-mnist",
        "MIT",
    ),
    _torchvision(
        "svhn",
        "99,289 house numbers, colour, 32×32, cropped to one digit",
        "http://ufldl.stanford.edu/housenumbers/",
        "for non-commercial use only",
    ),
    _torchvision(
        "stl10",
        "13,000 labelled colour images 96×96 in 10 classes",
        "https://cs.stanford.edu/~acoates/stl10/",
    ),
)


@hookimpl
def register_datasets(register: Registrar[DatasetSpec]) -> None:
    """Register the datasets."""
    for spec in DATASETS:
        register(spec)

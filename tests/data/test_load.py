from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import torch
from PIL import Image

import convae_zoo as zoo
from convae_zoo.data import ImageSet
from convae_zoo.data.load import dataset_for, describe_sets, load_dataset, train_and_val
from convae_zoo.errors import ConfigError, PluginError, UnknownNameError, UsageError
from convae_zoo.registry import Registry, fields, get_registry, override
from convae_zoo.registry.specs import DatasetSpec


@attrs.frozen(kw_only=True)
class RampConfig:
    image_size: int = fields.integer(8)


def make_ramp(*, split: str, image_size: int) -> ImageSet:
    images = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1)
    images = images.expand(4, 3, image_size, image_size).clone()
    return ImageSet(name="ramp", split=split, images=images)


@pytest.fixture
def ramp() -> Iterator[None]:
    """The datasets ``ramp`` and ``wrong`` beside those that are installed."""
    installed = get_registry()
    added = {
        "ramp": DatasetSpec(name="ramp", factory=make_ramp, config=RampConfig, license="CC0"),
        "wrong": DatasetSpec(name="wrong", factory=lambda split: [split]),
    }
    datasets = {**installed.entries["dataset"], **added}
    registry = Registry({**installed.entries, "dataset": datasets}, installed.plugins)
    with override(registry):
        yield


@pytest.mark.usefixtures("ramp")
def test_a_plugin_s_dataset_is_loaded_with_its_options_and_its_licence():
    images = load_dataset("ramp", "val", image_size=5)
    assert (images.name, images.split, images.image_shape) == ("ramp", "val", (3, 5, 5))
    assert images.license == "CC0"


@pytest.mark.usefixtures("ramp")
def test_a_dataset_that_cuts_at_a_size_of_choice_is_asked_for_the_model_s():
    images = dataset_for("ramp", "train", (1, 12, 12))
    assert images.image_shape == (1, 12, 12)
    assert images.images[3].eq(3).all()


@pytest.mark.usefixtures("ramp")
def test_a_size_that_the_user_gives_is_kept_and_the_images_are_fitted():
    images = dataset_for("ramp(image_size=28)", "train", (3, 32, 32))
    assert images.image_shape == (3, 32, 32)
    assert images.images[3, 0].sum() == 3 * 28 * 28


@pytest.mark.usefixtures("ramp")
def test_a_set_names_the_config_values_that_it_was_loaded_with():
    plain, small = load_dataset("ramp"), load_dataset("ramp", image_size=5)
    assert (plain.expression, small.expression) == ("ramp", "ramp(image_size=5)")
    assert small.fitted((1, 8, 8)).expression == small.expression
    assert describe_sets(small, small)["expression"] == small.expression
    assert "expression" not in describe_sets(plain, plain)


@pytest.mark.usefixtures("ramp")
def test_a_factory_that_gives_no_image_set_is_a_fault_of_its_plugin():
    with pytest.raises(
        PluginError,
        match=r"dataset 'wrong' of plugin .* must return a value of class ImageSet, got",
    ):
        load_dataset("wrong")


def test_an_unknown_dataset_split_or_option_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown dataset 'photo'; did you mean 'photos'"):
        load_dataset("photo")
    with pytest.raises(UnknownNameError, match="split of dataset 'photos': 'test'; known: train"):
        load_dataset("photos", "test")
    with pytest.raises(UnknownNameError, match=r"field of dataset 'photos'.*did you mean 'image_s"):
        load_dataset("photos", img_size=3)


@pytest.mark.parametrize("size", [0, 7, 301, 32.0, True, "32"])
def test_an_option_of_the_wrong_type_or_range_is_refused(size):
    with pytest.raises(ConfigError, match="dataset 'photos': image_size must be"):
        load_dataset("photos", image_size=size)


def test_a_folder_or_a_download_for_a_dataset_that_takes_none_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="'photos' reads no folder"):
        load_dataset("photos", data=tmp_path)
    with pytest.raises(UsageError, match="'image-folder' cannot be downloaded"):
        load_dataset("image-folder", data=tmp_path, download=True)


def test_photos_are_cut_for_the_model_that_asks():
    images = dataset_for("photos", "val", (1, 48, 48))
    assert images.image_shape == (1, 48, 48)
    assert images.images.dtype == torch.uint8
    assert "CC0" in images.license


@pytest.fixture
def seasons() -> Iterator[None]:
    """A dataset whose splits have other names than ``train`` and ``val``, and one with one."""
    installed = get_registry()

    def images(split: str) -> ImageSet:
        seed = torch.Generator().manual_seed(len(split))
        shape = (12, 3, 16, 16)
        drawn = torch.randint(0, 256, shape, dtype=torch.uint8, generator=seed)
        return ImageSet(name="seasons", split=split, images=drawn)

    added = {
        "seasons": DatasetSpec(name="seasons", factory=images, splits=("learn", "test", "extra")),
        "winter": DatasetSpec(name="winter", factory=images, splits=("learn",)),
    }
    datasets = {**installed.entries["dataset"], **added}
    registry = Registry({**installed.entries, "dataset": datasets}, installed.plugins)
    with override(registry):
        yield


@pytest.mark.usefixtures("seasons")
def test_the_first_split_is_trained_on_and_the_second_validated_on_whatever_their_names():
    assert load_dataset("seasons").split == "learn"
    assert dataset_for("seasons", None, (3, 16, 16)).split == "test"
    train, val = train_and_val("seasons", (3, 16, 16))
    assert (train.split, val.split) == ("learn", "test")

    model = zoo.create_model("convae-200", width=2, latent_dim=2, image_size=16)
    result = zoo.train(model, dataset="seasons", epochs=1)
    assert len(result.val_losses) == 1
    found = zoo.evaluate(model, "seasons")
    assert (found.split, found.pca_images) == ("test", 12)
    assert zoo.evaluate(model, "seasons", "extra").split == "extra"


@pytest.mark.usefixtures("seasons")
def test_a_dataset_of_one_split_is_measured_but_not_trained_on():
    assert dataset_for("winter", None, (3, 16, 16)).split == "learn"
    with pytest.raises(UsageError, match="'winter' has the split 'learn' only"):
        train_and_val("winter", (3, 16, 16))


def test_the_folder_may_be_given_as_the_config_field_of_the_dataset(tmp_path: Path):
    for index in range(2):
        Image.new("RGB", (8, 8), (index, 0, 0)).save(tmp_path / f"{index}.png")
    by_field = load_dataset("image-folder", path=str(tmp_path), image_size=8)
    assert torch.equal(
        by_field.images, load_dataset("image-folder", data=tmp_path, image_size=8).images
    )


@pytest.mark.usefixtures("ramp")
def test_a_dataset_takes_its_config_in_its_name():
    assert load_dataset("ramp(image_size=5)").image_shape == (3, 5, 5)
    with pytest.raises(UnknownNameError, match=r"did you mean 'image_size'\? \(character 6 of"):
        load_dataset("ramp(img_size=5)")
    with pytest.raises(ConfigError, match=r"image_size of 'ramp' is already set to 6"):
        load_dataset("ramp(image_size=5)", image_size=6)

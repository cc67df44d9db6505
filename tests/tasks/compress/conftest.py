"""A small model, and images to encode."""

import pytest
import torch

import convae_zoo as zoo
from latent_files import write_images

COUNT = 50


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small model's file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    zoo.save_model(zoo.create_model("convae-200", width=4, latent_dim=16, image_size=8), path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images in a folder and one below it."""
    root = tmp_path_factory.mktemp("images")
    write_images(root, COUNT)
    return root

"""Images to encode, and latents files made by hand."""

import json

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import convae_zoo as zoo
from convae_zoo.data.listing import find_images
from convae_zoo.tasks.compress import encode_files
from convae_zoo.weights.load import read_metadata

KEY = "convae_zoo_latents"


def write_images(root, count):
    """Write random 8×8 images into a folder and one below it."""
    random = np.random.default_rng(0)
    (root / "more").mkdir(parents=True, exist_ok=True)
    for index in range(count):
        where = root / "more" if index % 2 else root
        pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(where / f"{index:05}.png", compress_level=0)


def encoded(weights, folder, out, **settings):
    """Encode a folder as the command does."""
    digest = read_metadata(weights)["sha256"]
    return encode_files(
        zoo.load_model(weights), find_images([folder]), out, weights=digest, **settings
    )


def names_in(path):
    return json.loads(bytes(load_file(path)["names"].numpy()))


def document_in(path):
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()[KEY])


def as_bytes(text):
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)


def rewrite(path, *, drop=(), text=None, document=None, **tensors):
    """Write a latents file again with other tensors, names' text or document."""
    content = {n: t for n, t in load_file(path).items() if n not in drop} | tensors
    if text is not None:
        content["names"] = as_bytes(text)
    document = document_in(path) if document is None else document
    metadata = {KEY: document if isinstance(document, str) else json.dumps(document)}
    save_file(content, path, metadata)


def as_version_1(path, **changes):
    """Turn a latents file into one that the first version of the format would have written."""
    document = {**document_in(path), "format_version": 1}
    document.pop("sha256", None)
    rewrite(path, document=document, **changes)

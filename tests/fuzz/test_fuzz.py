"""Mutated files end in a result or in one line that names the file, and change no number.

By default some 1,850 files; ``CONVAE_ZOO_FUZZ_SECONDS=3600`` goes on for as long, in equal shares.
``CONVAE_ZOO_FUZZ_SEED`` is the first seed. A seed that found a defect goes into `FOUND`.
"""

import io
import itertools
import json
import os
import random
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import convae_zoo as zoo
from convae_zoo.data.image_file import read_image
from convae_zoo.tasks.compress import decode_file
from convae_zoo.tasks.compress.latents import open_latents
from convae_zoo.weights import file_format
from convae_zoo.weights.load import read_metadata
from detectors import smooth, whole
from latent_files import as_bytes, as_version_1, document_in, encoded, rewrite, write_images
from memory import forget_peak, resident
from mutate import changed, mutated
from tiny_runs import losses_of, tiny_train

SECONDS = float(os.environ.get("CONVAE_ZOO_FUZZ_SECONDS", "0"))
FIRST = int(os.environ.get("CONVAE_ZOO_FUZZ_SEED", "0"))
TARGETS = 8
MOST_MEMORY = 2**30  # bytes more than before

FOUND: dict[str, list[int]] = {"image": [], "weights": [], "latents": [15164]}
"""Seeds that once found a defect, by target; they are tried first."""

KINDS = {
    **dict.fromkeys(
        ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "DDS", "TGA", "PCX", "ICO", "ICNS",
         "PPM", "SGI", "QOI", "JPEG2000", "IM"), "RGB"
    ),
    "BLP": "P", "SPIDER": "F", "MSP": "1", "XBM": "1",
}  # fmt: skip


def seeds(target, count):
    """Give seeds: those that found something, then `count`, or as many as there is time for."""
    before = forget_peak()
    yield from FOUND.get(target, [])
    stop = time.monotonic() + SECONDS / TARGETS
    for number in itertools.count(FIRST):
        if (number - FIRST >= count) if SECONDS == 0 else time.monotonic() > stop:
            print(f"{target}: {number - FIRST} files")
            break
        yield number
    assert resident("VmHWM") - before < MOST_MEMORY


def outcome(seed, path, action, name=None):
    """Do something with a file: what comes out, or None where one line says what is wrong.

    The line names the file; or it has the `name`, if one is given, which may be empty.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return action()
    except zoo.ZooError as error:
        line = str(error)
    except BaseException as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
    assert "\n" not in line, f"seed {seed}"
    assert len(line) < 600, f"seed {seed}: {line}"
    assert str(path) in line or (name is not None and name in line), f"seed {seed}: {line}"
    return None


@pytest.fixture(scope="module")
def images():
    """A small image of each kind that Pillow writes: its bytes."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    made = {}
    for kind, mode in KINDS.items():
        buffer = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(buffer, kind)
        made[kind] = buffer.getvalue()
    return made


def test_images(images, tmp_path):
    path = tmp_path / "image"
    for seed in seeds("image", 800):
        draw = random.Random(seed)
        path.write_bytes(mutated(images[draw.choice(sorted(images))], draw))
        read = outcome(seed, path, lambda: read_image(path))
        assert read is None or (read.dtype == torch.uint8 and read.shape[0] == 3), f"seed {seed}"


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A small model's file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    zoo.save_model(zoo.create_model("convae-200", width=2, latent_dim=4, image_size=8), path)
    return path


def test_weights_of_other_bytes_are_refused_or_the_same(weights, tmp_path):
    path, whole = tmp_path / "mutated.safetensors", load_file(weights)
    for seed in seeds("weights", 200):
        path.write_bytes(mutated(weights.read_bytes(), random.Random(seed)))
        model = outcome(seed, path, lambda: zoo.load_model(path))
        if model is not None:
            same = all(torch.equal(model.state_dict()[n], whole[n]) for n in whole)
            assert same, f"seed {seed}: a number changed"


def test_weights_whose_document_is_another_are_refused_or_load(weights, tmp_path):
    """The digest is right, so that every check behind it is reached."""
    path = tmp_path / "mutated.safetensors"
    document, tensors = file_format.unpack(weights.read_bytes(), "it")
    for seed in seeds("documents", 120):
        other = changed(document, random.Random(seed))
        try:
            path.write_bytes(b"".join(file_format.pack(other, tensors)))
        except (zoo.ZooError, TypeError, AttributeError):  # what no file can say
            continue
        outcome(seed, path, lambda: zoo.load_model(path))


@pytest.fixture(scope="module")
def latents(weights, tmp_path_factory) -> Path:
    """A latents file of six images."""
    folder = tmp_path_factory.mktemp("latents")
    write_images(folder / "images", 6)
    encoded(weights, folder / "images", folder / "z")
    return folder / "z"


def test_latents_of_other_bytes_are_refused_or_the_same(latents, tmp_path):
    path, whole = tmp_path / "z", open_latents(latents)
    for seed in seeds("latents", 500):
        path.write_bytes(mutated(latents.read_bytes(), random.Random(seed)))
        opened = outcome(seed, path, lambda: open_latents(path))
        assert opened is None or opened.sha256 == whole.sha256, f"seed {seed}: a number changed"


def test_latents_of_another_document_are_refused_or_decoded_inside_the_folder(
    weights, latents, tmp_path
):
    """In the first version of the format, which has no digest."""
    model, digest = zoo.load_model(weights), read_metadata(weights)["sha256"]
    path, out = tmp_path / "z", tmp_path / "deep" / "out"
    document = {**document_in(latents), "format_version": 1}
    names = json.loads(bytes(load_file(latents)["names"].numpy()))
    for seed in seeds("latents, documents", 150):
        draw = random.Random(seed)
        path.write_bytes(latents.read_bytes())
        text = json.dumps(changed(names, draw) if draw.random() < 0.5 else names)
        as_version_1(path, names=as_bytes(text.encode()))
        rewrite(path, document=json.dumps(changed(document, draw)))

        def decode():
            return decode_file(model, path, out, weights=digest, overwrite=True)

        try:
            outcome(seed, path, decode)
        except AssertionError as error:
            if "leads out of the folder" not in str(error):  # it names the picture's folder
                raise
        assert {p.name for p in tmp_path.iterdir()} <= {"z", "deep"}, f"seed {seed}"
        assert not out.parent.exists() or {p.name for p in out.parent.iterdir()} <= {"out"}


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """A detector's file, and the scores that it gives."""
    path = tmp_path_factory.mktemp("detector") / "small.safetensors"
    whole().save(path)
    return path, whole().score_samples(smooth(3))


def test_detectors_of_other_bytes_are_refused_or_the_same(detector, tmp_path):
    path, expected = tmp_path / "mutated.safetensors", detector[1]
    for seed in seeds("detectors", 150):
        path.write_bytes(mutated(detector[0].read_bytes(), random.Random(seed)))
        loaded = outcome(seed, path, lambda: zoo.AnomalyDetector.load(path, device="cpu"))
        if loaded is not None:
            same = (loaded.score_samples(smooth(3)) == expected).all()
            assert same, f"seed {seed}: a number changed"


def test_detectors_whose_document_is_another_are_refused_or_score(detector, tmp_path):
    """The digest is right, so that every check behind it is reached."""
    path = tmp_path / "mutated.safetensors"
    document, tensors = file_format.unpack(detector[0].read_bytes(), "it")
    for seed in seeds("detectors, documents", 150):
        other = changed(document, random.Random(seed))
        try:
            path.write_bytes(b"".join(file_format.pack(other, tensors)))
        except (zoo.ZooError, TypeError, AttributeError):  # what no file can say
            continue
        loaded = outcome(seed, path, lambda: zoo.AnomalyDetector.load(path, device="cpu"))
        if loaded is not None:
            outcome(seed, path, lambda: (loaded.threshold_, loaded.score_samples(smooth(3))), "")  # noqa: B023 - called at once


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of two epochs: its settings, its result and the content of its files."""
    settings = {"epochs": 2, "count": 32, "out": tmp_path_factory.mktemp("fuzz") / "run"}
    result = tiny_train(**settings)
    files = {p: p.read_bytes() for p in settings["out"].rglob("*") if p.is_file()}
    return settings, result, files


def test_run_folders_are_refused_or_resumed_to_the_same_numbers(run):
    """The record, the history, the checkpoint or the weights: other bytes, or another document."""
    settings, result, files = run
    out = settings["out"]
    chosen = [p for p in sorted(files) if p.suffix in {".json", ".jsonl", ".safetensors"}]
    expected, weights = losses_of(result), result.model.state_dict()
    for seed in seeds("run", 50):
        for path, content in files.items():
            path.write_bytes(content)
        draw = random.Random(seed)
        path = draw.choice(chosen)
        path.write_bytes(mutated_file(path, files[path], draw))
        resumed = outcome(seed, out, lambda: tiny_train(**settings, resume=True), "the run")
        assert resumed is None or losses_of(resumed) == expected, f"seed {seed}: {path.name}"
        model = outcome(seed, out, lambda: zoo.load_model(out))
        for each in (model, resumed and resumed.model):
            same = each is None or all(
                torch.equal(each.state_dict()[n], weights[n]) for n in weights
            )
            assert same, f"seed {seed}: {path.name}"


def mutated_file(path, content, draw):
    """Change some bytes of a file, or one place of a document in it."""
    if path.suffix == ".safetensors" or draw.random() < 0.4:
        return mutated(content, draw)
    if path.suffix == ".json":
        return json.dumps(changed(json.loads(content), draw)).encode()
    lines = content.splitlines(keepends=True)
    place = draw.randrange(len(lines))
    lines[place] = json.dumps(changed(json.loads(lines[place]), draw)).encode() + b"\n"
    return b"".join(lines)

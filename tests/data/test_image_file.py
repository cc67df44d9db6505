"""Image files are decoded within bounds, and whatever goes wrong is one line about that file."""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from convae_zoo.data import image_file, load_dataset, pixels
from convae_zoo.data.image_file import EXACT_PIXELS, MAX_PIXELS, _MemoryBudget, read_image
from convae_zoo.data.pil import from_pil
from convae_zoo.errors import DataError
from image_files import flat_png
from memory import forget_peak, resident


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("bits", [1, 16])
def test_a_small_file_of_very_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path, bits):
    """13,300² pixels in 344 kB took 5 GB."""
    bomb = flat_png(tmp_path / "bomb.png", 13_300, 13_300, bits=bits)
    before = forget_peak()
    with pytest.raises(DataError, match=r"bomb.png: its 13,300×13,300 pixels are more than"):
        read_image(bomb)
    assert resident("VmHWM") - before < 50_000_000


def test_the_bound_on_pixels_is_the_callers_to_set(tmp_path: Path):
    Image.fromarray(noise(20, 10)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", max_pixels=200).shape == (3, 20, 10)
    with pytest.raises(DataError, match=r"more than the 199 allowed for PNG; .*--max-pixels"):
        read_image(tmp_path / "a.png", max_pixels=199)
    with pytest.raises(DataError, match="more than the 199 allowed"):
        pixels.load_pictures([tmp_path / "a.png"], (3, 8, 8), max_pixels=199)


def test_a_format_that_takes_more_memory_is_allowed_fewer_pixels(tmp_path: Path):
    Image.fromarray(noise(20, 10)).save(tmp_path / "a.webp")
    with pytest.raises(DataError, match="more than the 117 allowed for WEBP"):
        read_image(tmp_path / "a.webp", max_pixels=200)


def test_a_dataset_skips_and_names_what_has_too_many_pixels(tmp_path: Path):
    for name, side in (("small.png", 8), ("large.png", 40)):
        Image.fromarray(noise(side, side)).save(tmp_path / name)
    images = load_dataset("image-folder", "train", data=tmp_path, val_fraction=0, max_pixels=100)
    assert len(images) == 1
    assert len(images.skipped) == 1
    assert "large.png: its 40×40 pixels are more than the 100 allowed" in images.skipped[0]


PEAK = """
import sys
from concurrent.futures import ThreadPoolExecutor
import torch
from memory import resident
from convae_zoo.data.pixels import read_fitted
torch.set_num_threads(1)
with ThreadPoolExecutor(4) as pool:
    read = list(pool.map(lambda path: read_fitted(path, (3, 224, 224)), sys.argv[1:]))
print(len(read), resident("VmHWM"))
"""


@pytest.mark.slow
def test_four_threads_that_read_the_largest_allowed_files_stay_below_1_5_gib(tmp_path: Path):
    colour = flat_png(tmp_path / "colour.png", 8192, 8192, colour=True)
    grey = flat_png(tmp_path / "grey.png", 8192, 8192, bits=16)
    photo = tmp_path / "photo.webp"
    Image.new("RGB", (6200, 6200)).save(photo, method=0, quality=1)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, colour, photo, grey, photo],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=True,
    )
    read, peak = map(int, done.stdout.split())
    print(f"peak memory {peak / 2**20:.0f} MiB")
    assert read == 4
    assert peak < 1.5 * 2**30


def test_a_large_image_is_reduced_while_it_is_decoded_and_comes_out_the_same(tmp_path: Path):
    yy, xx = np.mgrid[0:60, 0:90]
    smooth = np.stack([yy * 4, xx * 2, yy + xx], -1).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.png")
    whole = pixels.read_fitted(tmp_path / "a.png", (3, 6, 6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_file, "EXACT_PIXELS", 300)
        reduced = read_image(tmp_path / "a.png", scaled_to=(6, 6))
        assert reduced.shape == (3, 12, 18)
        near = pixels.read_fitted(tmp_path / "a.png", (3, 6, 6))
    assert (near.int() - whole.int()).abs().max() <= 2
    assert EXACT_PIXELS < MAX_PIXELS


def test_a_large_jpeg_is_decoded_at_a_smaller_scale(tmp_path: Path, monkeypatch):
    Image.new("RGB", (640, 480), (200, 100, 50)).save(tmp_path / "a.jpg")
    monkeypatch.setattr(image_file, "EXACT_PIXELS", 640 * 480 // 16)
    reduced = read_image(tmp_path / "a.jpg", scaled_to=(8, 8))
    assert reduced.shape == (3, 120, 160)
    assert (reduced.float().mean((1, 2)) - torch.tensor([200, 100, 50])).abs().max() < 3


def test_an_image_that_is_not_going_to_be_scaled_keeps_all_its_pixels(tmp_path: Path, monkeypatch):
    Image.fromarray(noise(30, 30)).save(tmp_path / "a.png")
    monkeypatch.setattr(image_file, "EXACT_PIXELS", 10)
    assert read_image(tmp_path / "a.png").shape == (3, 30, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright_as_pillow_does(orientation):
    image = Image.fromarray(noise(3, 5))
    image.getexif()[0x0112] = orientation
    expected = np.array(ImageOps.exif_transpose(image))
    assert np.array_equal(from_pil(image).permute(1, 2, 0).numpy(), expected)


def test_an_image_is_converted_in_strips_with_the_same_result(monkeypatch):
    values = np.arange(35 * 11, dtype=np.int32).reshape(35, 11) * 150
    image = Image.fromarray(values)
    whole = from_pil(image)
    monkeypatch.setattr("convae_zoo.data.pil._STRIP_PIXELS", 40)
    assert torch.equal(from_pil(image), whole)
    assert from_pil(image, reduce=4).shape == (3, 9, 3)


def saved(kind, mode="RGB"):
    buffer = io.BytesIO()
    Image.fromarray(noise(8, 8)).convert(mode).save(buffer, kind)
    return bytearray(buffer.getvalue())


@pytest.mark.parametrize(
    ("kind", "mode", "flips"),
    [
        ("AVIF", "RGB", [(128, 75)]),  # RuntimeError
        ("BLP", "P", [(7, 205)]),  # BLPFormatError, a NotImplementedError
        ("DDS", "RGB", [(153, 180), (80, 141)]),  # NotImplementedError
    ],
)
def test_whatever_a_decoder_raises_is_one_line_that_names_the_file(
    tmp_path: Path, kind, mode, flips
):
    content = saved(kind, mode)
    for place, value in flips:
        content[place] = value
    (tmp_path / "flipped.png").write_bytes(content)
    Image.fromarray(noise(8, 8)).save(tmp_path / "good.png")
    with pytest.raises(DataError, match=r"flipped\.png cannot be read: ") as caught:
        read_image(tmp_path / "flipped.png")
    assert "\n" not in str(caught.value)
    images = load_dataset("image-folder", "train", data=tmp_path, val_fraction=0)
    assert (len(images), len(images.skipped)) == (1, 1)


def test_running_out_of_memory_is_that_files_matter(tmp_path: Path):
    """Under a limit on memory one image is skipped; the dataset is read."""
    flat_png(tmp_path / "large.png", 8000, 8000, colour=True)
    Image.fromarray(noise(8, 8)).save(tmp_path / "small.png")
    code = (
        "import resource, sys, torch; from convae_zoo.data import load_dataset\n"
        "from convae_datasets import image_folder\n"
        "torch.zeros(1); import re\n"
        "used = int(re.search(r'VmSize:\\s+(\\d+)', open('/proc/self/status').read())[1]) * 1024\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 150_000_000,) * 2)\n"
        "images = load_dataset('image-folder', 'train', data=sys.argv[1], val_fraction=0)\n"
        "print(len(images), images.skipped)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.startswith("1 ("), done.stderr
    assert "large.png cannot be read: there is not enough memory for it" in done.stdout


def test_a_file_that_would_start_a_program_is_not_opened(tmp_path: Path):
    """Pillow hands PostScript to Ghostscript."""
    (tmp_path / "a.png").write_bytes(saved("EPS"))
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "EPS"
    with pytest.raises(DataError, match="not an image"):
        read_image(tmp_path / "a.png")


def test_a_huge_file_is_not_offered_to_readers_that_read_it_whole(tmp_path: Path, monkeypatch):
    Image.fromarray(noise(8, 8)).save(tmp_path / "a.webp")
    monkeypatch.setattr(image_file, "_READ_WHOLE_BYTES", 10)
    with pytest.raises(DataError) as caught:
        read_image(tmp_path / "a.webp")
    assert isinstance(caught.value.__context__, UnidentifiedImageError)


def test_a_path_with_a_nul_is_no_image():
    with pytest.raises(DataError, match="no image file at"):
        read_image("a\0b.png")


def test_readers_share_memory_and_one_that_needs_more_than_all_waits_until_it_is_alone():
    budget, seen, inside = _MemoryBudget(10), [], []

    def take(amount):
        with budget.reserved(amount):
            inside.append(amount)
            seen.append(list(inside))
            inside.remove(amount)

    threads = [threading.Thread(target=take, args=(n,)) for n in (4, 6, 25, 3, 7, 99) * 20]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == len(threads)
    assert all(sum(min(n, 10) for n in together) <= 10 for together in seen)

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convae_zoo.data import pixels, read_image
from convae_zoo.data.whole import whole_picture
from convae_zoo.errors import DataError

ALL = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
SIDE = st.integers(1, 70)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0), (0.0, 255.0), (-3.0, 0.5)])
def test_every_level_comes_back_from_every_value_range(value_range):
    floats = pixels.to_float(ALL, value_range)
    assert floats.dtype == torch.float32
    assert floats.min() == value_range[0]
    assert floats.max() == pytest.approx(value_range[1])
    assert torch.equal(pixels.to_uint8(floats, value_range), ALL)


@given(low=st.floats(-10, 10), span=st.floats(0.1, 20))
def test_every_level_comes_back_from_any_range(low, span):
    value_range = (low, low + span)
    assert torch.equal(pixels.to_uint8(pixels.to_float(ALL, value_range), value_range), ALL)


def test_what_is_outside_the_range_is_clipped():
    out = pixels.to_uint8(torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0]), (-1.0, 1.0))
    assert out.tolist() == [0, 0, 128, 255, 255]


def test_to_float_leaves_its_input_alone():
    given_floats = torch.full((1, 1, 2, 2), 255.0)
    pixels.to_float(given_floats, (0.0, 1.0))
    assert given_floats.eq(255).all()


def test_grey_is_repeated_to_colour_and_comes_back_from_it():
    colour = pixels.fit(ALL, (3, 16, 16))
    assert all(torch.equal(colour[:, c], ALL[:, 0]) for c in range(3))
    assert torch.equal(pixels.fit(colour, (1, 16, 16)), ALL)


def test_colour_becomes_grey_by_luma():
    primaries = torch.zeros(3, 3, 1, 1, dtype=torch.uint8)
    primaries[range(3), range(3)] = 255
    assert pixels.fit(primaries, (1, 1, 1)).flatten().tolist() == [76, 150, 29]


def test_28_by_28_is_centred_on_black_in_32_by_32():
    digit = noise(2, 1, 28, 28)
    fitted = pixels.fit(digit, (1, 32, 32))
    assert torch.equal(fitted[..., 2:30, 2:30], digit)
    assert fitted.sum(dtype=torch.int64) == digit.sum(dtype=torch.int64)


def test_an_image_that_lacks_more_than_an_eighth_is_scaled_instead():
    fitted = pixels.fit(torch.full((1, 3, 27, 32), 200, dtype=torch.uint8), (3, 32, 32))
    assert fitted.eq(200).all()


def test_of_a_wide_image_the_middle_is_kept():
    wide = torch.zeros(1, 1, 40, 120, dtype=torch.uint8)
    wide[..., 40:80] = 255
    assert pixels.fit(wide, (1, 20, 20)).eq(255).all()


def test_scaling_down_averages_instead_of_skipping_pixels():
    stripes = torch.zeros(1, 1, 64, 64, dtype=torch.uint8)
    stripes[..., ::2] = 255
    middle = pixels.fit(stripes, (1, 8, 8))[..., 1:-1, 1:-1].int()
    assert (middle - 128).abs().max() <= 4


def test_a_long_thin_image_is_cut_before_it_is_scaled():
    thin = torch.full((1, 3, 1, 60_000), 9, dtype=torch.uint8)
    assert pixels.fit(thin, (3, 224, 224)).eq(9).all()


@settings(deadline=None)
@given(h=SIDE, w=SIDE, to=st.tuples(SIDE, SIDE), value=st.integers(0, 255))
def test_a_flat_image_stays_flat_wherever_it_is_not_padded(h, w, to, value):
    flat = torch.full((1, 3, h, w), value, dtype=torch.uint8)
    fitted = pixels.fit(flat, (3, *to))
    assert fitted.shape == (1, 3, *to)
    padded = all(7 * b <= 8 * a <= 8 * b for a, b in zip((h, w), to, strict=True))
    assert set(fitted.unique().tolist()) <= {value, 0 if padded else value}


@settings(deadline=None)
@given(n=st.integers(1, 5), c=st.sampled_from([1, 3, 4]), h=SIDE, w=SIDE, to=SIDE)
def test_images_are_fitted_alike_alone_and_together(n, c, h, w, to):
    batch = noise(n, c, h, w)
    together = pixels.fit(batch, (c, to, to))
    alone = torch.cat([pixels.fit(image[None], (c, to, to)) for image in batch])
    assert torch.equal(together, alone)


def test_a_large_set_is_fitted_in_parts_with_the_same_result(monkeypatch):
    batch = noise(7, 3, 20, 30)
    whole = pixels.fit(batch, (1, 16, 16))
    monkeypatch.setattr(pixels, "_CHUNK_BYTES", 2 * 3 * 20 * 30)
    assert torch.equal(pixels.fit(batch, (1, 16, 16)), whole)


@pytest.mark.parametrize("channels", [2, 4])
def test_other_channel_counts_are_refused(channels):
    with pytest.raises(DataError, match=rf"{channels} channels but the model takes 3; .*in_chan"):
        pixels.fit(noise(1, channels, 8, 8), (3, 8, 8))


def test_a_tensor_with_transparency_is_refused_by_a_colour_model_in_one_line():
    with pytest.raises(DataError, match="4 channels but the model takes 3") as caught:
        pixels.load_pictures(noise(4, 8, 8), (3, 8, 8))
    assert "\n" not in str(caught.value)


GREY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


def test_a_grey_picture_of_any_mode_gives_the_same_pixels():
    pictures = {
        "L": Image.fromarray(GREY),
        "I;16": Image.fromarray(GREY.astype(np.uint16) * 257),
        "I (8 bits)": Image.fromarray(GREY.astype(np.int32)),
        "I (16 bits)": Image.fromarray(GREY.astype(np.int32) * 257),
        "F (unit)": Image.fromarray((GREY / 255).astype(np.float32)),
        "F (8 bits)": Image.fromarray(GREY.astype(np.float32)),
        "RGB": Image.fromarray(GREY).convert("RGB"),
        "P": Image.fromarray(GREY).convert("P"),
        "LA": Image.fromarray(GREY).convert("LA"),
        "La": Image.fromarray(GREY).convert("LA").convert("La"),
        "RGBA": Image.fromarray(GREY).convert("RGBA"),
        "RGBa": Image.fromarray(GREY).convert("RGBA").convert("RGBa"),
        "CMYK": Image.fromarray(GREY).convert("RGB").convert("CMYK"),
        "RGBX": Image.fromarray(GREY).convert("RGB").convert("RGBX"),
    }
    expected = torch.from_numpy(GREY).expand(3, 8, 8)
    for mode, picture in pictures.items():
        assert torch.equal(pixels.from_pil(picture), expected), mode


@pytest.mark.parametrize("mode", ["1", "YCbCr", "HSV", "LAB", "PA"])
def test_other_modes_are_read_too(mode):
    white = Image.new("RGB", (5, 4), "white").convert("P" if mode == "PA" else "RGB")
    lab = Image.new("LAB", (5, 4), (255, 128, 128))
    picture = lab if mode == "LAB" else white.convert(mode)
    assert pixels.from_pil(picture).float().mean() > 250


def test_floats_that_are_no_numbers_become_black():
    values = np.array([[np.nan, 0.5], [np.inf, -1.0]], dtype=np.float32)
    assert pixels.from_pil(Image.fromarray(values))[0, 0, 0] == 0


def test_transparency_is_laid_over_black():
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putpixel((1, 0), 1)
    palette.info["transparency"] = 0
    assert pixels.from_pil(palette)[:, 0].T.tolist() == [[0, 0, 0], [200, 100, 50]]
    half = Image.new("RGBA", (1, 1), (200, 100, 50, 128))
    assert pixels.from_pil(half).flatten().tolist() == [100, 50, 25]


def test_a_photograph_is_turned_upright_by_its_exif_data(tmp_path: Path):
    image = Image.new("RGB", (2, 1))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    image.save(tmp_path / "turned.png", exif=exif)
    upright = pixels.read_image(tmp_path / "turned.png")
    assert upright.shape == (3, 2, 1)
    assert upright[0].flatten().tolist() == [255, 0]


@pytest.mark.parametrize("ending", ["gif", "tif", "png", "webp"])
def test_a_file_of_several_frames_or_pages_is_refused_by_name(tmp_path, ending):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "green", "blue")]
    path = tmp_path / f"frames.{ending}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    for read in (read_image, whole_picture):
        with pytest.raises(DataError, match=rf"frames\.{ending}: it has several frames or pages"):
            read(path)
    frames[0].save(path, save_all=True)  # one frame, as of a still picture
    assert read_image(path).shape == (3, 6, 8)


def test_the_previews_in_a_phone_s_jpeg_are_no_pages(tmp_path):
    path = tmp_path / "photo.jpg"
    preview = Image.new("RGB", (4, 3))
    Image.new("RGB", (8, 6)).save(path, "MPO", save_all=True, append_images=[preview])
    with Image.open(path) as image:
        assert image.is_animated
    assert read_image(path).shape == (3, 6, 8)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "gif", "tif"])
def test_image_files_are_read(tmp_path: Path, ending: str):
    path = tmp_path / f"image.{ending}"
    Image.new("RGB", (6, 5), (120, 120, 120)).save(path)
    image = pixels.read_image(path)
    assert image.shape == (3, 5, 6)
    assert (image.int() - 120).abs().max() <= 2


def test_files_that_are_no_images_are_refused_in_one_line(tmp_path: Path):
    whole = tmp_path / "whole.png"
    Image.fromarray(noise(64, 64, 3).numpy()).save(whole)
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:3000])
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    for name, reason in {
        "text.png": "not an image",
        "empty.png": "not an image",
        "cut.png": "cannot be read",
        "pipe.png": "no image file",
        "loop.png": "no image file",
        "missing.png": "no image file",
        ".": "is a folder",
    }.items():
        with pytest.raises(DataError, match=reason) as caught:
            pixels.read_image(tmp_path / name)
        assert str(tmp_path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(deadline=None, max_examples=60)
@given(ending=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"]), data=st.data())
def test_a_damaged_file_gives_an_image_or_one_data_error(tmp_path_factory, ending, data):
    path = tmp_path_factory.mktemp("damaged") / "image"
    Image.fromarray(noise(9, 9, 3).numpy()).save(path, ending)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        image = pixels.read_image(path)
    except DataError:
        return
    assert image.dtype == torch.uint8


def test_pictures_of_every_form_become_one_batch(tmp_path: Path):
    chw = noise(3, 8, 8)
    hwc = chw.permute(1, 2, 0).numpy()
    Image.fromarray(hwc).save(tmp_path / "a.png")
    forms = [
        chw,
        chw[None],
        hwc,
        hwc[None],
        Image.fromarray(hwc),
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
    ]
    for form in forms:
        assert torch.equal(pixels.load_pictures(form, (3, 8, 8)), chw[None])
    assert torch.equal(pixels.load_pictures(forms, (3, 8, 8)), chw.expand(7, 3, 8, 8))
    assert torch.equal(pixels.load_pictures(GREY, (1, 8, 8))[0, 0], torch.from_numpy(GREY))


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (torch.zeros(3, 8, 8), "a picture must be"),
        (torch.zeros(8, 8, dtype=torch.uint8), "a picture must be"),
        (np.zeros((8, 8, 3)), "must be uint8"),
        (np.zeros((1, 1, 8, 8, 3), np.uint8), "must be uint8"),
        (np.zeros((0, 8, 3), np.uint8), "has no pixels"),
        (torch.zeros(0, 3, 8, 8, dtype=torch.uint8), "has no pixels"),
        (Image.new("RGB", (0, 4)), "has none"),
        ([], "no pictures"),
        (b"bytes", "a picture must be"),
        (7, "a picture must be"),
        ([None], "a picture must be"),
    ],
)
def test_what_is_no_picture_is_refused(form, message):
    with pytest.raises(DataError, match=message):
        pixels.load_pictures(form, (3, 8, 8))

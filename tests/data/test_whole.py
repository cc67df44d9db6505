"""Pictures as they are: every form and depth in, the same form and depth out."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from convae_zoo.data.whole import encode_picture, format_of, whole_picture
from convae_zoo.errors import DataError

DRAW = np.random.default_rng(0)
SIZES = st.sampled_from([(1, 1), (1, 50), (7, 5)])


def pixels(*shape, dtype=np.uint8):
    return DRAW.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


@given(SIZES, st.sampled_from([(), (1,), (2,), (3,), (4,)]), st.data())
def test_an_array_comes_back_with_its_shape_dtype_and_values(size, channels, data):
    for dtype, values in ((np.uint8, None), (np.float32, st.floats(-1, 2, width=32))):
        array = data.draw(arrays.arrays(dtype, (*size, *channels), elements=values))
        picture = whole_picture(array)
        assert picture.values.shape == (3 if channels[-1:] in {(3,), (4,)} else 1, *size)
        back = picture.restored(picture.values.float())
        assert (back.shape, back.dtype) == (array.shape, array.dtype)
        np.testing.assert_allclose(back, array, atol=1e-6)


def test_only_float_pictures_leave_the_range():
    picture = whole_picture(pixels(2, 2))
    beyond = picture.values.float() * 0 + 300
    assert (picture.restored(beyond) == 255).all()
    assert (whole_picture(np.zeros((2, 2))).restored(beyond) > 1).all()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".jpg", ".webp", ".gif"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_file_is_written_in_the_format_of_its_name(tmp_path, suffix, mode):
    source = tmp_path / f"in{suffix}"
    image = Image.fromarray(np.full((9, 14, 3), 90, np.uint8)).convert(mode)
    image.save(source)
    picture = whole_picture(source)
    data = encode_picture(picture.restored(picture.values.float()), picture, source.name)
    with Image.open(io.BytesIO(data)) as back:
        assert back.format == format_of(source.name)
        assert back.size == (14, 9)
        assert np.abs(np.asarray(back.convert("RGB")).astype(int) - 90).max() <= 3


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_transparency_is_kept(tmp_path, mode):
    rgba = pixels(6, 5, 4)
    image = Image.fromarray(rgba).convert("LA" if mode == "LA" else "RGBA")
    if mode in {"P", "PA"}:
        image = image.convert("RGB").convert("P")
        image.info["transparency"] = 3
    expected = np.asarray(image.convert("RGBA"))
    image.save(tmp_path / "in.png", **({"transparency": 3} if mode in {"P", "PA"} else {}))
    picture = whole_picture(tmp_path / "in.png")
    data = encode_picture(picture.restored(picture.values.float()), picture, "out.png")
    with Image.open(io.BytesIO(data)) as back:
        assert np.array_equal(np.asarray(back.convert("RGBA")), expected)


def test_16_bit_grey_is_kept_to_the_last_bit(tmp_path):
    array = pixels(7, 9, dtype=np.uint16)
    for name in ("in.png", "in.tif"):
        Image.fromarray(array).save(tmp_path / name)
        picture = whole_picture(tmp_path / name)
        back = picture.restored(picture.values)
        assert back.dtype == np.uint16
        assert np.array_equal(back, array)
        with Image.open(io.BytesIO(encode_picture(back, picture, name))) as image:
            assert np.array_equal(np.asarray(image), array)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_upright_and_not_turned_again(tmp_path, orientation):
    image = Image.fromarray(pixels(4, 6, 3))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "a camera"
    image.save(tmp_path / "in.png", exif=exif, icc_profile=b"a profile")
    picture = whole_picture(tmp_path / "in.png")
    data = encode_picture(picture.restored(picture.values.float()), picture, "out.png")
    assert picture.values.shape[1:] == ((6, 4) if orientation > 4 else (4, 6))
    with Image.open(io.BytesIO(data)) as back:
        assert back.getexif().get(0x0112, 1) == 1
        assert back.getexif()[0x010F] == "a camera"
        assert back.info["icc_profile"] == b"a profile"
        again = whole_picture(back)
    assert np.array_equal(again.values, picture.values)


def deep_colour():
    """A PNG of 16 bits in each of three channels, which Pillow reads but does not write."""
    import struct
    import zlib

    def chunk(kind, body):
        tail = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + tail

    head = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    body = zlib.compress(b"\0" + bytes(6))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_a_file_that_cannot_be_kept_as_it_is_is_refused_by_name(tmp_path):
    (tmp_path / "deep.png").write_bytes(deep_colour())
    with pytest.raises(DataError, match=r"deep\.png: it has 16 bits in each of several channels"):
        whole_picture(tmp_path / "deep.png")
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(DataError, match=r"float\.tif: it has 32-bit floats; pass its values as"):
        whole_picture(tmp_path / "float.tif")
    Image.fromarray(np.full((2, 2), 70_000, np.int32)).save(tmp_path / "wide.tif")
    with pytest.raises(DataError, match=r"wide\.tif: its values are beyond 16 bits"):
        whole_picture(tmp_path / "wide.tif")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2, 5), np.uint8), r"a picture must be .* got uint8 \(2, 2, 5\)"),
        (np.zeros((2, 3, 4, 3), np.uint8), r"got uint8 \(2, 3, 4, 3\)"),
        (np.zeros((2, 2), np.int64), r"got int64 \(2, 2\)"),
        (np.zeros((0, 2), np.uint8), r"has no pixels"),
        (np.full((2, 2), np.nan), r"values that are not finite"),
        (7, r"got int"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_form_it_needs(array, message):
    with pytest.raises(DataError, match=message):
        whole_picture(array)


@pytest.mark.parametrize(
    ("picture", "name", "message"),
    [
        (pixels(2, 2, 4), "a.jpg", "JPEG has no transparency; name a .png file"),
        (pixels(2, 2, 3), "a.txt", "does not end in the suffix of an image format"),
    ],
)
def test_a_format_that_cannot_hold_a_picture_is_refused(picture, name, message):
    whole = whole_picture(picture)
    with pytest.raises(DataError, match=message):
        encode_picture(whole.restored(whole.values.float()), whole, name)


def test_jpeg_cannot_hold_16_bits(tmp_path):
    Image.fromarray(pixels(2, 2, dtype=np.uint16)).save(tmp_path / "a.png")
    whole = whole_picture(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"JPEG cannot hold 16 bits per pixel; name a \.png or"):
        encode_picture(whole.restored(whole.values), whole, "a.jpg")

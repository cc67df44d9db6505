import numpy as np
import pytest
import torch
from PIL import Image

import convae_zoo as zoo
from convae_zoo.data import pixels


@pytest.fixture
def photographs(tmp_path):
    """Files of several sizes and modes."""
    draw = np.random.default_rng(0)
    files = {}
    for name, mode, size in (
        ("wide.png", "RGB", (50, 20)),
        ("grey.png", "L", (16, 16)),
        ("glass.png", "RGBA", (9, 40)),
        ("photo.jpg", "RGB", (33, 47)),
        ("palette.png", "P", (16, 24)),
    ):
        array = draw.integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
        image = Image.fromarray(array, "RGBA").convert("RGB" if mode == "P" else mode)
        files[name] = tmp_path / name
        image.convert(mode).save(files[name])
    return files


def holds(picture, image, factor):
    big = image.repeat_interleave(factor, 1).repeat_interleave(factor, 2).permute(1, 2, 0).numpy()
    height, width, _ = big.shape
    starts = np.argwhere((picture == big[0, 0]).all(-1))
    return any(np.array_equal(picture[y : y + height, x : x + width], big) for y, x in starts)


def test_the_picture_has_each_image_and_its_reconstruction(run, trained, photographs, tmp_path):
    weights, grid = trained(), tmp_path / "grid.png"
    status, out, err = run("reconstruct", weights, *photographs.values(), "--out", grid)
    assert (status, out, err) == (0, f"picture  {grid}\n", "")
    with Image.open(grid) as image:
        picture = np.asarray(image.convert("RGB"))
    model = zoo.load_model(weights)
    originals = pixels.load_pictures(list(photographs.values()), (3, 16, 16))
    with torch.no_grad():
        x = pixels.to_float(originals, model.value_range)
        reconstructions = model.postprocess(model(x))
    assert len(originals) == 5
    assert all(holds(picture, i, 8) for i in (*originals, *reconstructions))


def test_a_missing_folder_is_created(run, trained, photographs, tmp_path):
    grid = tmp_path / "new" / "grid.png"
    assert run("reconstruct", trained(), photographs["wide.png"], "--out", grid)[0] == 0
    assert [p.name for p in grid.parent.iterdir()] == ["grid.png"]


def test_an_unreadable_image_is_reported_before_anything_is_written(
    run, trained, photographs, tmp_path
):
    bad, grid = tmp_path / "bad.png", tmp_path / "new" / "grid.png"
    bad.write_bytes(photographs["wide.png"].read_bytes()[:60])
    status, out, err = run("reconstruct", trained(), photographs["grey.png"], bad, "--out", grid)
    assert (status, out) == (1, "")
    assert "bad.png" in err
    assert err.count("\n") == 1
    assert not grid.parent.exists()


@pytest.mark.parametrize(
    ("out", "status", "words"),
    [
        ("grid.jpg", 2, "must end in .png"),
        ("folder", 2, "is a folder"),
        ("wide.png", 2, "is an input of this command"),
        ("grey.png/grid.png", 1, "cannot write"),
    ],
)
def test_a_picture_that_cannot_be_written_is_one_line(
    run, trained, photographs, tmp_path, out, status, words
):
    (tmp_path / "folder").mkdir()
    before = photographs["wide.png"].read_bytes()
    found, printed, err = run(
        "reconstruct", trained(), photographs["wide.png"], "--out", tmp_path / out
    )
    assert (found, printed) == (status, "")
    assert words in err
    assert err.count("\n") == 1
    assert photographs["wide.png"].read_bytes() == before


def test_images_must_be_given(run, trained, tmp_path):
    status, _, err = run("reconstruct", trained(), "--out", tmp_path / "grid.png")
    assert status == 2
    assert "IMAGE" in err

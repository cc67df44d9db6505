import hashlib
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from convae_zoo import visuals
from convae_zoo.errors import FileError, UsageError
from convae_zoo.visuals import curves, text


def images(count, shape=(3, 32, 32), seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *shape), generator=draw, dtype=torch.uint8)


def read(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def places(picture, image, factor=1):
    """Find where an image, enlarged, stands in a picture: upper left corners (y, x)."""
    big = image.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    big = big.expand(3, -1, -1).permute(1, 2, 0).numpy()
    height, width, _ = big.shape
    room = picture[: len(picture) - height + 1, : picture.shape[1] - width + 1]
    starts = np.argwhere((room == big[0, 0]).all(-1))
    return [
        (int(y), int(x))
        for y, x in starts
        if np.array_equal(picture[y : y + height, x : x + width], big)
    ]


def test_a_grid_holds_every_image_pixel_by_pixel_above_its_reconstruction(tmp_path):
    originals, reconstructions = images(4), images(4, seed=1)
    visuals.save_grid(tmp_path / "grid.png", originals, reconstructions)
    picture = read(tmp_path / "grid.png")
    left = -1
    for original, reconstruction in zip(originals, reconstructions, strict=True):
        [(y, x)], [(below, same)] = (places(picture, i, 4) for i in (original, reconstruction))
        assert same == x > left
        assert y + 128 < below < y + 160
        left = x


@pytest.mark.parametrize(
    ("shape", "factor"), [((1, 28, 28), 4), ((3, 224, 224), 1), ((3, 24, 8), 5)]
)
def test_images_keep_their_pixels_at_any_size(tmp_path, shape, factor):
    originals = images(2, shape)
    visuals.save_grid(tmp_path / "grid.png", originals, images(2, shape, seed=1))
    picture = read(tmp_path / "grid.png")
    assert [len(places(picture, i, factor)) for i in originals] == [1, 1]


def test_images_larger_than_the_limit_are_shrunk(tmp_path):
    red = torch.tensor([200, 20, 40], dtype=torch.uint8)
    large = red.view(1, 3, 1, 1).expand(1, 3, 640, 1280)
    visuals.save_grid(tmp_path / "grid.png", large, large)
    picture = read(tmp_path / "grid.png")
    ys, xs = np.nonzero((picture == red.numpy()).all(-1))
    assert np.ptp(xs) + 1 == 320
    assert len(ys) == 2 * 320 * 160


def test_many_images_go_into_bands(tmp_path):
    originals = images(23)
    visuals.save_grid(tmp_path / "grid.png", originals, originals.flip(0))
    picture = read(tmp_path / "grid.png")
    corners = [min(places(picture, i, 4)) for i in originals]
    assert len({y for y, _ in corners}) == 3
    assert picture.shape[1] < 1600


def test_a_comparison_has_a_row_for_each_model_under_the_originals(tmp_path):
    rows = [("first", images(3, seed=1)), ("second\nepoch 10", images(3, seed=2))]
    visuals.save_comparison(tmp_path / "compare.png", images(3), rows, names=["a", "b", "c"])
    picture = read(tmp_path / "compare.png")
    for column in range(3):
        stack = [images(3)[column], *(r[column] for _, r in rows)]
        corners = [places(picture, i, 4)[0] for i in stack]
        assert len({x for _, x in corners}) == 1
        assert [y for y, _ in corners] == sorted(y for y, _ in corners)


def test_a_row_of_a_comparison_states_its_metrics(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(visuals.grids, "_draw", lambda _, rows, **__: drawn.extend(rows))
    rows = [("same", images(3)), ("black", torch.zeros_like(images(3)))]
    visuals.save_comparison(tmp_path / "c.png", images(3), rows)
    labels = [label for label, _ in drawn]
    assert labels[1] == "same\nMSE 0.00000, PSNR 100.0 dB\nSSIM 1.000, sharpness 1.00"
    assert labels[2].startswith("black\nMSE 0.")
    assert labels[2].endswith("sharpness 0.00")


def ink(picture, columns):
    return int((picture[:, columns] < 128).all(-1).sum())


def test_labels_names_and_title_are_drawn(tmp_path):
    """White images: every dark pixel is text."""
    white = torch.full((2, 3, 32, 32), 255, dtype=torch.uint8)
    amounts = []
    for options in ({}, {"names": ["cat", "dog"]}, {"names": ["cat", "dog"], "title": "Pets"}):
        visuals.save_grid(tmp_path / "grid.png", white, white, **options)
        amounts.append(ink(read(tmp_path / "grid.png"), slice(None)))
    assert amounts == sorted(amounts)
    assert len(set(amounts)) == 3


@pytest.mark.parametrize("length", [3, 40, 60, 500])
def test_a_title_of_any_length_stays_within_the_picture(tmp_path, length):
    two = images(2)
    visuals.save_grid(tmp_path / "grid.png", two, two, title="W" * length)
    picture = read(tmp_path / "grid.png")
    assert (picture[:, -10:] == 255).all()
    assert ink(picture[:40], slice(None)) > 50


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_a_name_of_any_kind_is_fitted_to_its_column(name):
    lines = text.fit(text.drawable(name), 120).split("\n")
    assert len(lines) <= 2
    assert all(text.text_width(line, text.SMALL) <= 120 for line in lines)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat", "cat"),
        ("great white shark, white shark", "great white\nshark, white shark"),
        ("photograph_of_nothing.jpeg", "photograph_of_\nnothing.jpeg"),
    ],
)
def test_a_long_name_is_broken_where_words_part(name, expected):
    assert text.fit(name, 122) == expected


def test_a_word_too_long_loses_its_middle():
    short = text.fit("IMG20230817121314portraitofmycat.jpeg", 120)
    assert short.startswith("IMG2")
    assert short.endswith(".jpeg")
    assert "…" in short


def test_dollars_and_unknown_letters_are_drawn_as_they_are(tmp_path, recwarn):
    two = images(2)
    visuals.save_grid(tmp_path / "grid.png", two, two, names=["$x^2$", "猫\n$"], title="$\\bad$")
    assert read(tmp_path / "grid.png").size
    assert [str(w.message) for w in recwarn] == []


def draw_all(folder):
    folder.mkdir(exist_ok=True)
    visuals.save_grid(folder / "a.png", images(3), images(3, seed=1), names=["x"] * 3, title="t")
    visuals.save_comparison(folder / "b.png", images(3), [("m", images(3, seed=1))])
    visuals.save_curves(folder / "c.png", np.geomspace(1, 0.01, 200).tolist(), [0.1, 0.02])
    return [hashlib.sha256((folder / f"{n}.png").read_bytes()).hexdigest() for n in "abc"]


def test_equal_input_gives_equal_bytes(tmp_path):
    assert draw_all(tmp_path / "one") == draw_all(tmp_path / "two")


def test_pictures_can_be_drawn_by_several_threads_at_once(tmp_path):
    found = {}
    workers = [
        threading.Thread(target=lambda n=n: found.update({n: draw_all(tmp_path / str(n))}))
        for n in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert list(found.values()) == [draw_all(tmp_path / "alone")] * 3


def test_a_picture_holds_no_date_and_no_software(tmp_path):
    draw_all(tmp_path)
    for path in tmp_path.glob("*.png"):
        data, at, kinds = path.read_bytes(), 8, []
        while at < len(data):
            (length,) = struct.unpack(">I", data[at : at + 4])
            kinds.append(data[at + 4 : at + 8])
            at += 12 + length
        assert not {b"tEXt", b"iTXt", b"tIME"} & set(kinds)


def colours(picture):
    return {tuple(c) for c in np.unique(picture.reshape(-1, 3), axis=0).tolist()}


TRAINING, MEAN, VALIDATION = (0x9E, 0xCA, 0xE1), (0x08, 0x51, 0x9C), (0xD9, 0x48, 0x01)


def test_curves_show_training_its_mean_and_validation(tmp_path):
    losses = np.geomspace(1, 0.01, 500)
    visuals.save_curves(tmp_path / "all.png", losses, [0.3, 0.2, 0.1, 0.05, 0.02])
    assert {TRAINING, MEAN, VALIDATION} <= colours(read(tmp_path / "all.png"))
    visuals.save_curves(tmp_path / "train.png", losses, [])
    assert VALIDATION not in colours(read(tmp_path / "train.png"))


def test_a_run_of_one_step_and_one_of_a_million_can_be_drawn(tmp_path):
    visuals.save_curves(tmp_path / "one.png", [0.5], [])
    assert TRAINING in colours(read(tmp_path / "one.png"))
    visuals.save_curves(tmp_path / "long.png", np.linspace(2, 1, 10**6), [1.5, 1.1])
    assert MEAN in colours(read(tmp_path / "long.png"))


@pytest.mark.parametrize("losses", [[0.0, 0.0], [-1.0, -2.0], [1.0, float("nan"), 0.5]])
def test_losses_that_have_no_logarithm_or_no_value_are_drawn(tmp_path, losses):
    visuals.save_curves(tmp_path / "curves.png", losses, [losses[0]])
    assert VALIDATION in colours(read(tmp_path / "curves.png"))


def test_the_running_mean_is_over_the_finite_neighbours():
    values = np.array([1.0, 2.0, 6.0, np.nan, 4.0])
    assert curves._running_mean(values, 3) == pytest.approx([1.5, 3.0, 4.0, 5.0, 4.0])


def test_the_band_of_a_long_run_holds_every_loss():
    values = np.random.default_rng(0).normal(size=12_345)
    middle, low, high = curves._envelope(np.arange(12_345.0), values)
    assert (low.min(), high.max()) == (values.min(), values.max())
    assert len(middle) == len(low) == len(high) <= 2000


def test_no_losses_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no training losses"):
        visuals.save_curves(tmp_path / "curves.png", [], [])


@pytest.mark.parametrize(
    ("originals", "reconstructions", "words"),
    [
        (images(2, (2, 8, 8)), images(2, (2, 8, 8)), "1 or 3 channels"),
        (images(2).float(), images(2), "float32"),
        (images(0), images(0), "got none"),
        (images(2), images(3), "same shape"),
    ],
)
def test_images_that_cannot_be_drawn_are_refused(tmp_path, originals, reconstructions, words):
    with pytest.raises(UsageError, match=words):
        visuals.save_grid(tmp_path / "grid.png", originals, reconstructions)
    assert list(tmp_path.iterdir()) == []


def test_there_must_be_one_name_per_image(tmp_path):
    with pytest.raises(UsageError, match="3 images have 2 names"):
        visuals.save_grid(tmp_path / "grid.png", images(3), images(3), names=["a", "b"])


def test_too_many_images_are_refused(tmp_path):
    many = images(4000, (1, 4, 4))
    with pytest.raises(UsageError, match="too many"):
        visuals.save_grid(tmp_path / "grid.png", many, many)


def test_only_png_is_written(tmp_path):
    with pytest.raises(UsageError, match=r"must end in \.png"):
        visuals.save_grid(tmp_path / "grid.jpg", images(1), images(1))
    with pytest.raises(UsageError, match="is a folder"):
        visuals.check_picture_path(tmp_path)


def test_a_missing_folder_is_created(tmp_path):
    visuals.save_grid(tmp_path / "new" / "deep" / "grid.png", images(1), images(1))
    assert [p.name for p in (tmp_path / "new" / "deep").iterdir()] == ["grid.png"]


def test_a_folder_that_cannot_be_created_is_reported(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(FileError, match=r"file/grid\.png"):
        visuals.save_grid(tmp_path / "file" / "grid.png", images(1), images(1))


def test_drawing_does_not_touch_pyplot():
    code = "import sys, convae_zoo.visuals; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_a_path_the_figure_is_returned_and_shows_what_a_file_would(tmp_path):
    pair = images(2), images(2, seed=1)
    figure = visuals.save_grid(None, *pair)
    visuals.save_grid(tmp_path / "grid.png", *pair)
    assert figure._repr_png_() == (tmp_path / "grid.png").read_bytes()


def test_a_histogram_of_scores_is_drawn_with_its_threshold(tmp_path):
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(100, generator=generator).double()
    drawn = visuals.save_histogram(tmp_path / "a.png", normal, normal + 4, 2.0, title="scores")
    axes = drawn.axes[0]
    assert [line.get_xdata()[0] for line in axes.lines] == [2.0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[0].startswith("normal, 100 images")
    assert f"{float((normal > 2).double().mean()):.1%} above" in labels[0]
    visuals.save_histogram(tmp_path / "b.png", normal[:1], normal[:1], float(normal[0]))
    assert read(tmp_path / "b.png").shape[1] > 300

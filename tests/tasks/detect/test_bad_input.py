"""Bad input of a detector: one line that says what was wrong and what to do."""

import numpy as np
import pytest
import torch
from PIL import Image

import convae_zoo as zoo
from convae_zoo.errors import DataError, InputError, UsageError, ZooError
from detectors import FAST, smooth


def refused(X, message, kind=InputError, **changes):  # noqa: N803 - scikit-learn's name
    with pytest.raises(kind, match=message) as caught:
        zoo.AnomalyDetector(**FAST | changes).fit(X)
    assert "\n" not in str(caught.value)


def test_too_few_images_for_the_rate_say_how_many_are_missing(normal):
    told = (
        "alarm_rate=0.01 needs 99 held-out normal images, and of the 60 given at most 30 are held "
        "out: give 138 more, or set alarm_rate to at least 0.03226"
    )
    refused(normal, told, alarm_rate=0.01)


def test_a_rate_that_the_held_out_images_do_not_allow_is_refused_after_the_fit(detector):
    strict = zoo.AnomalyDetector(**FAST)
    strict.__dict__.update(detector.__dict__, alarm_rate=0.01)
    with pytest.raises(InputError, match="needs 99 held-out normal images and there are 12, 87"):
        strict.predict(smooth(1))


def test_one_image_is_refused(normal):
    refused(normal[:1], "X has 1 sample; .* at least 18 of them for alarm_rate=0.1")


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((20, 8, 8, 2), dtype=np.uint8), "has no axis of 1 or 3 channels"),
        (np.zeros((20, 1, 8, 8)), "X must be uint8 images N×C×H×W .*; got float64 of shape 20×1×8"),
        (np.zeros((20, 1, 1, 8, 8), dtype=np.uint8), "got uint8 of shape 20×1×1×8×8"),
        (torch.zeros(0, 1, 8, 8, dtype=torch.uint8), "X has no pictures"),
        (np.zeros((20, 64)), r"image_shape is not set; pass image_shape=\(C, H, W\)"),
        (["gone.png"], "no image file at gone.png"),
        ([np.zeros((8, 8, 2), dtype=np.uint8)] * 20, "picture 0 has 2 channels, expected 1 or 3"),
        ([np.zeros((8, 8), dtype=np.uint8), np.zeros((9, 8), dtype=np.uint8)] * 9, "expected 8×8"),
        (smooth(20)[:1].expand(20, -1, -1, -1), "the images themselves are all the same"),
    ],
    ids=["channels", "floats", "five", "none", "rows", "path", "two", "sizes", "equal"],
)
def test_input_that_is_no_set_of_images_is_refused(X, message):  # noqa: N803 - scikit-learn's name
    refused(X, message, DataError)


@pytest.mark.parametrize(
    ("image_shape", "message"),
    [
        ((1, 8, 9), "X has 64 features, but image_shape 1×8×9 has 72 values"),
        ((8, 8), r"image_shape must be \(C, H, W\), got \(8, 8\)"),
        ((1, -1, -1), "one of which may be -1"),
        ((1, 0, -1), "at least 1"),
        ("8x8", "image_shape must be"),
    ],
)
def test_an_image_shape_that_does_not_fit_is_refused(image_shape, message):
    refused(np.random.default_rng(0).random((20, 64)), message, image_shape=image_shape)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_refused(value):
    rows = np.random.default_rng(0).random((20, 64))
    rows[3, 4] = value
    refused(rows, "contains (NaN|infinity)", image_shape=(1, 8, 8))


def test_rows_of_another_length_than_fitted_are_refused():
    rows = np.random.default_rng(0).random((20, 64))
    fitted = zoo.AnomalyDetector(**FAST, image_shape=(1, 8, 8)).fit(rows)
    with pytest.raises(InputError, match=r"X has 63 features, but .* is expecting 64 features"):
        fitted.predict(rows[:, 1:])
    with pytest.raises(InputError, match=r"X holds pictures, but .* was fitted to a 2-D X"):
        fitted.predict(smooth(2))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (smooth(2, channels=3), r"has no axis of 1 \(as in fit\) channels"),
        (smooth(2, size=12), "picture 0 is 12×12, expected 8×8, as the first one in fit"),
        ([np.zeros((8, 8, 3), dtype=np.uint8)], "picture 0 has 3 channels, expected 1 "),
        (np.zeros((2, 64)), "X holds a 2-D X, but AnomalyDetector was fitted to pictures"),
    ],
    ids=["channels", "size", "one", "rows"],
)
def test_other_pictures_than_fitted_are_refused(detector, X, message):  # noqa: N803 - the same
    with pytest.raises(InputError, match=message):
        detector.predict(X)


def test_a_picture_smaller_than_a_tile_is_refused(tiled):
    pictures = [np.zeros((40, 40, 3), dtype=np.uint8), np.zeros((40, 15, 3), dtype=np.uint8)]
    with pytest.raises(InputError, match="picture 1 is 40×15, smaller than a tile of 16×16"):
        tiled.predict(pictures)
    refused(
        smooth(20, size=12),
        "the pictures are 12×12, smaller than a tile of the model, 32×32",
        model="convae-200.photos",
        train=False,
        overrides={},
    )


def test_a_picture_that_cannot_be_used_is_named_by_its_path_or_its_place_in_x(tmp_path):
    pictures = [*smooth(20, size=40, channels=3)]
    pictures[13] = pictures[13][:, :9]
    changes = {"overrides": FAST["overrides"] | {"image_size": 16}}
    refused(pictures, "^picture 13 is 9×40, smaller than a tile of 16×16", **changes)
    paths = [tmp_path / f"{number}.png" for number in range(20)]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(path)
    refused(paths, r"^\S+/13.png is 9×40, smaller than a tile of 16×16", **changes)
    paths[13].write_bytes(b"no picture")
    refused(paths, r"^\S+/13.png is not an image that can be read", **changes)


def collapsed(change):
    model = zoo.create_model("convae-200", in_channels=1, image_size=8, width=2, latent_dim=4)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            change(parameter)
    return {"model": model, "train": False, "overrides": {}}


def test_a_collapsed_model_is_refused_with_its_reason(normal):
    zeros, nans = collapsed(torch.Tensor.zero_), collapsed(lambda p: p.fill_(torch.nan))
    told = "have the score .*the model has collapsed: it maps every image to the same latent"
    refused(normal, told, score="neighbours", **zeros)
    told = "hold NaN or infinity; the model has collapsed: it gives NaN or infinity"
    refused(normal, told, score="reconstruction", **nans)
    refused(normal, "the model has collapsed", ZooError, score="combined", **zeros)


@pytest.mark.parametrize(
    ("changes", "message", "kind"),
    [
        ({"score": "mahalanobi"}, "did you mean 'mahalanobis'", UsageError),
        ({"score": "ssim(window=4)"}, "window", UsageError),
        ({"model": "convae-200", "train": False, "overrides": {}}, "without weights", UsageError),
        ({"model": "convae-20"}, "did you mean 'convae-200'", UsageError),
        ({"alarm_rate": 0}, "alarm_rate must be above 0", InputError),
        ({"held_out": 0.9}, "held_out must be above 0 and at most 0.5, got 0.9", InputError),
        ({"changes": {"epoch": 1}}, "epoch", UsageError),
        ({"overrides": {"widht": 1}}, "did you mean 'width'", UsageError),
        ({"device": "tpu"}, "unknown device 'tpu'", UsageError),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(normal, changes, message, kind):
    refused(normal, message, kind, **changes)

"""Results in a line, as records, as a frame, in a notebook."""

import sys

import pytest
import torch

import convae_zoo as zoo
from convae_zoo.data import ImageSet
from convae_zoo.errors import UsageError
from convae_zoo.evaluation import Evaluation, Metrics
from tiny_runs import image_set, tiny_train

GOOD = Metrics(mse=0.001, mse_in_range=0.004, psnr=30.0, ssim=0.9)
POOR = Metrics(mse=0.002, mse_in_range=0.008, psnr=27.0, ssim=None)
EVALUATION = Evaluation(
    name="<b>mine",
    dataset="photos",
    split="val",
    images=5627,
    fingerprint="",
    latent_floats=200,
    compression_ratio=15.36,
    value_range=(-1.0, 1.0),
    model=GOOD,
    pca=POOR,
)


@pytest.fixture(scope="module")
def result():
    return tiny_train(epochs=2)


def test_a_result_says_in_a_line_what_it_is(result):
    assert repr(result).startswith("TrainResult(convae-200, 2 epochs, val_loss 0.")
    assert repr(EVALUATION) == (
        "Evaluation(<b>mine on 5,627 images of photos, split val: MSE 0.001000, PSNR 30.00 dB, "
        "SSIM 0.9000, 0.500 of PCA's MSE)"
    )
    assert repr(zoo.Inference(result.model, "fp32")) == "Inference(convae-200, fp32, cpu)"
    assert "\n" not in repr(image_set())


def test_a_set_of_images_says_its_size_and_not_its_pixels():
    labels = torch.zeros(7, dtype=torch.int64)
    images = torch.zeros(7, 3, 8, 8, dtype=torch.uint8)
    made = ImageSet(name="x", split="train", images=images, labels=labels, class_names=("a", "b"))
    assert repr(made) == "ImageSet(x, split train: 7 images 3×8×8, 2 classes)"


def test_records_are_plain_values_of_the_same_fields(result):
    records = result.to_records()
    assert [record["epoch"] for record in records] == [1, 2]
    assert [record["val_loss"] for record in records] == result.val_losses
    model, pca = EVALUATION.to_records()
    assert model == {"name": "<b>mine", "sharpness": None, **_values(GOOD)}
    assert pca["name"] == "PCA-200"
    assert pca.keys() == model.keys()


def test_a_frame_has_the_records_rows(result):
    pytest.importorskip("pandas")
    frame = result.to_frame()
    assert frame.to_dict("records") == result.to_records()


def test_without_pandas_a_frame_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pip install pandas"):
        EVALUATION.to_frame()


def test_a_notebook_shows_a_table_with_names_as_text(result):
    page = EVALUATION._repr_html_()
    assert page.count("<tr>") == 3
    assert "&lt;b&gt;mine" in page
    assert "<b>mine" not in page
    card = result.model._repr_html_()
    assert "<th>latent</th><td>8</td>" in card
    assert "<details><summary>layers</summary>" in card


def test_a_result_draws_its_losses_without_a_file(result):
    assert result.figure()._repr_png_().startswith(b"\x89PNG")


def _values(metrics):
    return {"mse": metrics.mse, "mse_in_range": metrics.mse_in_range} | {
        "psnr": metrics.psnr,
        "ssim": metrics.ssim,
    }

"""``detect evaluate`` on a folder in the layout of MVTec AD."""

import json

import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

import convae_zoo as zoo
from detectors import FAST, smooth


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of smooth pictures 16×16; of those with the defect, a square is white."""
    folder = tmp_path_factory.mktemp("mvtec")
    pictures = smooth(48, size=16, channels=3)
    defective, masks = pictures[40:].clone(), torch.zeros(8, 16, 16, dtype=torch.uint8)
    defective[:, :, 4:9, 5:10] = 255
    masks[:, 4:9, 5:10] = 255
    for name, images in (
        ("train/good", pictures[:30]),
        ("test/good", pictures[30:40]),
        ("test/spot", defective),
    ):
        for number, image in enumerate(images):
            save(image.permute(1, 2, 0), folder / name / f"{number:03}.png")
    for number, mask in enumerate(masks):
        save(mask, folder / "ground_truth/spot" / f"{number:03}_mask.png")
    return folder


def save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.numpy()).save(path)


@pytest.fixture(scope="module")
def file(root):
    """A detector fitted to the training images."""
    images = zoo.load_dataset("anomaly-folder", data=root)
    path = root / "detector.safetensors"
    zoo.AnomalyDetector(**FAST, random_state=0).fit(images).save(path)
    return path


def test_it_prints_all_figures_beside_the_baselines(run, root, file):
    status, out, err = run(
        "detect", "evaluate", file, "--dataset", "anomaly-folder", "--data", root
    )
    assert status == 0, err
    assert "10 normal and 8 anomalous images" in out
    lines = {line.split("  ")[1]: line.split() for line in out.splitlines()[2:6]}
    assert list(lines) == ["detector", "PCA-4", "2 nearest neighbours", "one-class SVM"]
    assert "-" not in lines["detector"]
    assert "false alarms:" in out
    assert "expected 10.00%" in out


def test_the_document_holds_scikit_learns_auroc_and_the_alarm_rate(run, root, file):
    status, out, err = run(
        "detect",
        "evaluate",
        file,
        "--dataset",
        "anomaly-folder",
        "--data",
        root,
        "--no-baseline",
        "--json",
        "--alarm-rate",
        "0.2",
    )
    assert status == 0, err
    found = json.loads(out)
    images = zoo.load_dataset("anomaly-folder", "test", data=root)
    detector = zoo.AnomalyDetector.load(file).set_params(alarm_rate=0.2)
    scores, anomalous = -detector.score_samples(images), images.labels > 0
    assert found["detector"]["auroc"] == roc_auc_score(anomalous, scores)
    assert found["threshold"] == pytest.approx(detector.threshold_)
    alarms = (scores[~anomalous] > detector.threshold_).mean()
    assert found["false_alarms"]["observed"] == pytest.approx(float(alarms))
    maps = detector.anomaly_map(images)
    expected = roc_auc_score(images.masks.ravel(), maps.ravel())
    assert found["detector"]["pixel_auroc"] == pytest.approx(expected)
    assert 0 < found["detector"]["aupro"] <= 1
    assert found["baselines"] == {}


def test_it_draws_the_histogram_and_the_worst_misses(run, root, file, tmp_path):
    status, out, err = run(
        "detect",
        "evaluate",
        file,
        "--dataset",
        "anomaly-folder",
        "--data",
        root,
        "--no-baseline",
        "--out",
        tmp_path / "out",
    )
    assert status == 0, err
    assert "scores.png" in out
    for name in ("scores.png", "examples.png", "misses.png"):
        with Image.open(tmp_path / "out" / name) as picture:
            assert picture.width > 300


def test_a_class_of_a_labelled_dataset_may_be_the_normal_one(run, root, file):
    status, out, _ = run(
        "detect",
        "evaluate",
        file,
        "--dataset",
        "image-folder",
        "--data",
        root / "test",
        "--data-set",
        "image_size=16",
        "--split",
        "train",
        "--normal-class",
        "spot",
        "--no-baseline",
        "--json",
    )
    assert status == 0
    found = json.loads(out)
    assert 0 < found["anomalous"] < found["images"]
    assert found["detector"]["pixel_auroc"] is None


def test_grey_images_are_refused_for_a_detector_of_colour_ones(run, file):
    status, _, err = run("detect", "evaluate", file, "--dataset", "defects", "--no-baseline")
    assert status == 1
    assert err.startswith("error: defects has grey images, but the detector was fitted to colour")
    assert err.count("\n") == 1


def test_a_dataset_without_a_normal_class_is_refused(run, file):
    status, _, err = run("detect", "evaluate", file, "--dataset", "photos", "--no-baseline")
    assert status == 2
    assert "name its normal class with --normal-class" in err

"""Detectors saved and loaded: the same to the bit, or refused."""

import copy
import json

import numpy as np
import pytest
import torch

import convae_zoo as zoo
from convae_zoo import registry
from convae_zoo.errors import FileError, WeightsError
from convae_zoo.registry.discovery import load_entry_points
from convae_zoo.registry.registry import build_registry
from convae_zoo.weights import file_format
from detectors import FAST, smooth

SCORES = ["reconstruction", "ssim(window=7)", "mahalanobis", "neighbours", "density", "combined"]


def reloaded(detector, folder):
    detector.save(folder / "detector.safetensors")
    return zoo.AnomalyDetector.load(folder / "detector.safetensors", device="cpu")


def rewritten(path, **changes):
    """Change a detector file's document; its sha256 is right again."""
    document, tensors = file_format.unpack(path.read_bytes(), "x")
    path.write_bytes(b"".join(file_format.pack({**document, **changes}, tensors)))


@pytest.mark.parametrize("score", SCORES)
def test_a_loaded_detector_gives_the_same_scores_to_the_bit(normal, tmp_path, score):
    fitted = zoo.AnomalyDetector(**FAST | {"score": score}).fit(normal)
    loaded = reloaded(fitted, tmp_path)
    X = smooth(5, seed=9)  # noqa: N806 - scikit-learn's name
    assert (loaded.score_samples(X) == fitted.score_samples(X)).all()
    assert loaded.threshold_ == fitted.threshold_
    assert loaded.map_threshold_ == fitted.map_threshold_
    if fitted.map_threshold_ is not None:
        assert (loaded.anomaly_map(X) == fitted.anomaly_map(X)).all()
    assert loaded.get_params() == fitted.get_params()


def test_tiles_are_loaded_too(tiled, tmp_path):
    X = smooth(2, size=50, channels=3)  # noqa: N806 - scikit-learn's name
    loaded = reloaded(tiled, tmp_path)
    assert (loaded.anomaly_map(X) == tiled.anomaly_map(X)).all()


def test_equal_detectors_give_equal_bytes(detector, tmp_path):
    detector.save(tmp_path / "a.safetensors")
    reloaded(detector, tmp_path).save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_raw_scores_and_the_alarm_rate_are_apart(detector, tmp_path):
    detector.save(tmp_path / "d.safetensors")
    document, tensors = file_format.unpack((tmp_path / "d.safetensors").read_bytes(), "x")
    assert document["arguments"]["alarm_rate"] == 0.1
    assert (tensors["calibration.scores"].numpy() == detector.calibration_scores_).all()
    assert "threshold" not in json.dumps(document)
    loaded = zoo.AnomalyDetector.load(tmp_path / "d.safetensors")
    loaded.alarm_rate = 0.3
    again = copy.copy(detector).set_params(alarm_rate=0.3)
    assert loaded.threshold_ == again.threshold_ < detector.threshold_


def test_a_table_keeps_its_columns_and_range(tmp_path):
    pandas = pytest.importorskip("pandas")
    rows = pandas.DataFrame(np.random.default_rng(0).random((20, 16))).add_prefix("pixel")
    fitted = zoo.AnomalyDetector(**FAST, image_shape=(1, 4, 4)).fit(rows)
    loaded = reloaded(fitted, tmp_path)
    assert (loaded.score_samples(rows) == fitted.score_samples(rows)).all()
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.predict(rows[rows.columns[::-1]])


def test_registered_weights_are_recorded_by_name_and_checked(tmp_path):
    given = {"score": "reconstruction", "alarm_rate": 0.2, "device": "cpu"}
    X = smooth(10, size=32)  # noqa: N806 - scikit-learn's name
    fitted = zoo.AnomalyDetector("convae-200.photos", train=False, **given).fit(X)
    loaded = reloaded(fitted, tmp_path)
    assert (loaded.score_samples(X) == fitted.score_samples(X)).all()
    path = tmp_path / "detector.safetensors"
    assert path.stat().st_size < 20_000
    rewritten(path, model_sha256="0" * 64)
    told = r"fitted with another convae-200.photos \(sha256 000000000000\) than the one installed"
    with pytest.raises(WeightsError, match=told):
        zoo.AnomalyDetector.load(path)
    rewritten(path, weights="convae-200.nowhere")
    with pytest.raises(WeightsError, match=r"needs the weights convae-200.nowhere: unknown"):
        zoo.AnomalyDetector.load(path)


def test_what_is_not_installed_is_named(detector, tmp_path, monkeypatch):
    path = tmp_path / "d.safetensors"
    detector.save(path)
    for plugin, kind in (("scores", "score 'reconstruction'"), ("reference", "encoder 'convae'")):
        monkeypatch.setenv("CONVAE_ZOO_DISABLED_PLUGINS", plugin)
        told = f"needs {kind} of convae-zoo .*not installed .*pip install convae-zoo"
        with (
            registry.override(build_registry(load_entry_points())),
            pytest.raises(WeightsError, match=told),
        ):
            zoo.AnomalyDetector.load(path)


def test_an_altered_file_is_refused(detector, tmp_path):
    path = tmp_path / "d.safetensors"
    detector.save(path)
    data = bytearray(path.read_bytes())
    for place in (len(data) - 3, len(data) // 2, 300):
        changed = data.copy()
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(WeightsError, match=r"altered|damaged"):
            zoo.AnomalyDetector.load(path)
    path.write_bytes(data[:-10])
    with pytest.raises(WeightsError, match="cut short"):
        zoo.AnomalyDetector.load(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"layout": {}},
        {"score": []},
        {"arguments": {"alarm": 1}},
        {"features": 3},
        {"layout": {"channels": 1, "picture_size": "x", "image_shape": [1]}},
        {"table": {"image_shape": [1, 8, 8]}},
    ],
)
def test_a_document_that_describes_no_detector_is_refused_in_one_line(detector, tmp_path, changes):
    path = tmp_path / "d.safetensors"
    detector.save(path)
    rewritten(path, **changes)
    with pytest.raises(WeightsError, match=r"d.safetensors"):
        zoo.AnomalyDetector.load(path)


def test_models_and_detectors_are_not_confused(detector, tmp_path):
    detector.save(tmp_path / "d.safetensors")
    zoo.save_model(detector.model_, tmp_path / "m.safetensors")
    with pytest.raises(WeightsError, match=r"m.safetensors is not a detector; expected a file"):
        zoo.AnomalyDetector.load(tmp_path / "m.safetensors")
    with pytest.raises(WeightsError, match=r"is a detector, not a model; .*AnomalyDetector.load"):
        zoo.load_model(tmp_path / "d.safetensors")


def test_a_missing_file_and_a_missing_folder_are_named(detector, tmp_path):
    with pytest.raises(WeightsError, match=r"gone.safetensors: there is no such file"):
        zoo.AnomalyDetector.load(tmp_path / "gone.safetensors")
    with pytest.raises(FileError, match="cannot write"):
        detector.save(tmp_path / "gone" / "d.safetensors")


def test_a_recipe_is_stored(normal, tmp_path):
    recipe = zoo.Recipe(epochs=1, optimizer="sgd")
    fitted = zoo.AnomalyDetector(**FAST | {"recipe": recipe}).fit(normal)
    assert reloaded(fitted, tmp_path).recipe == recipe


def test_a_model_in_memory_becomes_part_of_the_file(normal, tmp_path):
    model = zoo.create_model("convae-200", in_channels=1, image_size=8, width=2, latent_dim=4)
    fitted = zoo.AnomalyDetector(
        model, train=False, score="reconstruction", alarm_rate=0.1, device="cpu"
    ).fit(normal)
    loaded = reloaded(fitted, tmp_path)
    assert torch.equal(loaded.model.encoder.net[0].weight, model.encoder.net[0].weight)
    assert (loaded.fit(normal).score_samples(normal) == fitted.score_samples(normal)).all()

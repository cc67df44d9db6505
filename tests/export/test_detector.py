"""Detectors as ONNX files: the scores and maps of Python, the thresholds as metadata."""

import json

import numpy as np
import pytest

import convae_zoo as zoo
from convae_zoo.errors import UsageError
from convae_zoo.export import export_detector
from detectors import FAST, smooth, tiled, whole

onnxruntime = pytest.importorskip("onnxruntime")


def session_of(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def close(found, wanted, scale):
    return (np.abs(found - wanted) <= 1e-4 * np.maximum(np.abs(wanted), abs(scale))).all()


@pytest.mark.parametrize("score", ["combined", "ssim", "neighbours"])
def test_an_exported_score_agrees_on_100_pictures(tmp_path, score):
    fitted = zoo.AnomalyDetector(**FAST | {"score": score}).fit(smooth(60)[:, :, :7])
    path = tmp_path / "d.onnx"
    assert export_detector(fitted, path) <= 1e-4
    pictures = smooth(100, seed=5)[:, :, :7].numpy()
    session = session_of(path)
    outputs = dict(
        zip(
            [each.name for each in session.get_outputs()],
            session.run(None, {"images": pictures}),
            strict=True,
        )
    )
    assert close(outputs["score"], -fitted.score_samples(pictures), fitted.threshold_)
    assert ("map" in outputs) == (fitted.map_threshold_ is not None)
    if "map" in outputs:
        assert outputs["map"].shape == (100, 7, 8)
        assert close(outputs["map"], fitted.anomaly_map(pictures), fitted.map_threshold_)


def test_pictures_are_cut_into_tiles_inside_the_file(tmp_path):
    path = tmp_path / "d.onnx"
    export_detector(tiled(), path, size=(40, 57))
    pictures = np.pad(smooth(2, size=40, channels=3, seed=3), [(0, 0)] * 3 + [(0, 17)])
    scores, maps = session_of(path).run(None, {"images": pictures})
    assert close(scores, -tiled().score_samples(pictures), tiled().threshold_)
    assert close(maps, tiled().anomaly_map(pictures), tiled().map_threshold_)


def test_the_thresholds_are_metadata(tmp_path):
    detector, path = whole(), tmp_path / "d.onnx"
    export_detector(detector, path)
    metadata = session_of(path).get_modelmeta().custom_metadata_map
    assert float(metadata["convae_zoo.threshold"]) == detector.threshold_
    assert float(metadata["convae_zoo.map_threshold"]) == detector.map_threshold_
    assert float(metadata["convae_zoo.alarm_rate"]) == detector.alarm_rate
    assert json.loads(metadata["convae_zoo.image_shape"]) == [1, 8, 8]


@pytest.mark.parametrize(
    ("fitted", "size", "message"),
    [
        (whole, (9, 9), "takes pictures of 8×8 alone; leave out size"),
        (tiled, None, r"scores by tiles; pass the pictures' size \(--size HxW\)"),
        (tiled, (40, 15), "size 40×15 is smaller than a tile of 16×16"),
    ],
)
def test_a_size_that_does_not_fit_is_refused(tmp_path, fitted, size, message):
    with pytest.raises(UsageError, match=message):
        export_detector(fitted(), tmp_path / "d.onnx", size=size)
    assert list(tmp_path.iterdir()) == []

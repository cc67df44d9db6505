"""The detector: forms of input, thresholds, maps, given models."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image

import convae_zoo as zoo
from convae_zoo.data import ImageSet
from convae_zoo.errors import UsageError
from detectors import FAST, smooth


def as_pil(images):
    return [Image.fromarray(image[0].numpy()) for image in images]


def as_paths(images, folder):
    for number, image in enumerate(as_pil(images)):
        image.save(folder / f"{number:03}.png")
    return sorted(folder.iterdir())


def test_every_form_of_the_same_pictures_gives_the_same_scores(detector, tmp_path):
    images = smooth(7, seed=1)
    paths = as_paths(images, tmp_path)
    expected = detector.score_samples(images)
    assert expected.dtype == np.float64
    forms = {
        "N×C×H×W": images.numpy(),
        "N×H×W×C": images.permute(0, 2, 3, 1).numpy(),
        "N×H×W": images[:, 0].numpy(),
        "set": ImageSet(name="x", split="test", images=images),
        "PIL": as_pil(images),
        "paths": paths,
        "text": [str(path) for path in paths],
        "text array": np.array([str(path) for path in paths]),
        "arrays": [image[0].numpy() for image in images],
        "tensors": list(images),
    }
    for name, X in forms.items():  # noqa: N806 - scikit-learn's name
        assert (detector.score_samples(X) == expected).all(), name


def test_rows_with_an_image_shape_are_the_images(normal, detector):
    rows = zoo.AnomalyDetector(**FAST, image_shape=(1, 8, 8)).fit(normal.flatten(1).numpy())
    more = smooth(5, seed=2)
    found = rows.score_samples(more.flatten(1).numpy())
    assert (found == detector.score_samples(more)).all()
    assert rows.n_features_in_ == 64


def test_rows_of_other_numbers_are_scaled_to_their_range(normal):
    scaled = normal.flatten(1).numpy() / 64 - 1
    found = zoo.AnomalyDetector(**FAST, image_shape=(1, -1, 8)).fit(scaled)
    assert found.anomaly_map(scaled[:2]).shape == (2, 8, 8)
    beyond = np.full((1, 64), 1e9)
    assert found.score_samples(beyond) < found.score_samples(scaled).min()


def test_predictions_thresholds_and_p_values_agree(detector):
    X = torch.cat([smooth(20, seed=3), 255 - smooth(20, seed=4)])  # noqa: N806 - scikit-learn's name
    X[::5] = torch.randint(0, 256, X[::5].shape, generator=torch.Generator().manual_seed(0)).byte()
    scores = detector.score_samples(X)
    flagged = detector.predict(X) == -1
    assert flagged[::5].all()
    assert (flagged == (scores < detector.offset_)).all()
    assert (flagged == (detector.decision_function(X) < 0)).all()
    assert (flagged == (detector.p_values(X) <= detector.alarm_rate)).all()
    assert detector.threshold_ == -detector.offset_
    assert detector.threshold_ in detector.calibration_scores_


def test_the_alarm_rate_is_changed_without_data(detector):
    other = copy.copy(detector).set_params(alarm_rate=0.4)
    assert other.threshold_ < detector.threshold_
    assert (other.calibration_scores_ == detector.calibration_scores_).all()
    assert other.map_threshold_ < detector.map_threshold_


def test_held_out_images_are_a_fifth_or_as_many_as_the_rate_needs(normal):
    for alarm_rate, expected in ((0.5, 12), (0.1, 12), (0.05, 19), (0.035, 28)):
        fitted = zoo.AnomalyDetector(**FAST | {"alarm_rate": alarm_rate}).fit(normal)
        assert fitted.n_calibration_ == expected


def test_the_seed_decides_the_split_and_the_weights(normal, detector):
    again = zoo.AnomalyDetector(**FAST, random_state=np.random.RandomState(0)).fit(normal)
    other = zoo.AnomalyDetector(**FAST, random_state=1).fit(normal)
    assert (again.calibration_scores_ == detector.calibration_scores_).all()
    assert (other.calibration_scores_ != detector.calibration_scores_).any()


def test_maps_have_the_pictures_own_size(detector, tiled):
    maps = detector.anomaly_map(smooth(3))
    assert (maps.shape, maps.dtype) == ((3, 8, 8), np.float32)
    sizes = [(40, 40), (16, 33), (57, 20)]
    pictures = [np.zeros((*size, 3), dtype=np.uint8) for size in sizes]
    assert [found.shape for found in tiled.anomaly_map(pictures)] == sizes


def test_a_map_of_tiles_is_highest_at_the_defect(tiled):
    picture = smooth(1, size=64, channels=3, seed=5)
    picture[0, :, 40:52, 20:32] = 255 * (torch.arange(144) % 2).reshape(12, 12).byte()
    (found,) = tiled.anomaly_map(picture)
    row, column = divmod(int(found.argmax()), 64)
    assert 40 <= row < 52
    assert 20 <= column < 32
    assert tiled.predict(picture) == -1


def test_a_score_without_maps_gives_one_by_tiles_alone(normal, tiled):
    whole = zoo.AnomalyDetector(**FAST | {"score": "mahalanobis"}).fit(normal)
    assert whole.map_threshold_ is None
    with pytest.raises(UsageError, match="'mahalanobis' gives no map; choose one that does"):
        whole.anomaly_map(normal[:2])
    parameters = tiled.get_params() | {"score": "mahalanobis"}
    by_tiles = zoo.AnomalyDetector(**parameters).fit(smooth(20, size=40, channels=3))
    assert by_tiles.anomaly_map(smooth(2, size=40, channels=3)).shape == (2, 40, 40)


def test_pictures_are_padded_to_the_size_that_the_model_needs():
    wide = smooth(40, size=8)[:, :, :5, :7]
    fitted = zoo.AnomalyDetector(**FAST).fit(wide)
    assert fitted.image_shape_ == (1, 8, 8)
    assert fitted.anomaly_map(wide[:2]).shape == (2, 5, 7)


def test_a_given_model_is_used_as_it_is_and_left_as_it_was(normal):
    model = zoo.create_model("convae-200", in_channels=1, image_size=8, width=2, latent_dim=4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    given = {"score": "reconstruction", "alarm_rate": 0.1, "device": "cpu"}
    fitted = zoo.AnomalyDetector(model, train=False, **given).fit(normal)
    trained = zoo.AnomalyDetector(model, changes={"epochs": 1}, **given).fit(normal)
    for name, value in before.items():
        assert torch.equal(model.state_dict()[name], value)
        assert torch.equal(fitted.model_.state_dict()[name], value)
    assert any(
        not torch.equal(trained.model_.state_dict()[name], value) for name, value in before.items()
    )
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_grey_pictures_go_through_a_colour_model():
    fitted = zoo.AnomalyDetector(
        "convae-200.photos", train=False, score="reconstruction", alarm_rate=0.2, device="cpu"
    ).fit(smooth(10, size=28))
    assert fitted.image_shape_ == (3, 32, 32)
    assert fitted.anomaly_map(smooth(2, size=28)).shape == (2, 28, 28)


def test_the_random_state_outside_is_left_alone(normal):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    zoo.AnomalyDetector(**FAST | {"score": "density(components=2)"}).fit(normal)
    assert torch.equal(torch.rand(2), expected)

"""`LatentTransformer` is a scikit-learn transformer."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import convae_zoo as zoo
from convae_zoo.errors import InputError
from detectors import smooth

FAST = {
    "model": "convae-200",
    "overrides": {"width": 2, "latent_dim": 4},
    "changes": {"epochs": 1},
    "device": "cpu",
}


@parametrize_with_checks([zoo.LatentTransformer(image_shape=(1, 1, -1), **FAST)])
def test_scikit_learn_accepts_the_transformer(estimator, check):
    check(estimator)


def test_latents_are_the_models_own_and_are_decoded_to_the_pictures_size():
    X = smooth(20)[:, :, :6, :7]  # noqa: N806 - scikit-learn's name
    fitted = zoo.LatentTransformer(**FAST).fit(X)
    latents = fitted.transform(X)
    assert (latents.shape, latents.dtype) == ((20, 4), np.float32)
    padded = torch.zeros(20, 1, 8, 8, dtype=torch.uint8)
    padded[:, :, 1:7, :7] = X
    expected = fitted.model_.encode(fitted.model_.to_float(padded))
    torch.testing.assert_close(torch.from_numpy(latents), expected, rtol=1e-4, atol=1e-5)
    decoded = fitted.inverse_transform(latents)
    assert (decoded.shape, decoded.dtype) == ((20, 1, 6, 7), np.uint8)
    whole = fitted.model_.postprocess(fitted.model_(fitted.model_.to_float(padded)))
    assert (torch.from_numpy(decoded).int() - whole[:, :, 1:7, :7].int()).abs().max() <= 1


def test_a_trained_model_reconstructs_rows_in_their_own_range():
    rows = smooth(12, size=32).flatten(1).numpy() / 16
    fitted = zoo.LatentTransformer(
        "convae-200.photos", train=False, image_shape=(1, 32, 32), device="cpu"
    ).fit(rows)
    restored = fitted.inverse_transform(fitted.transform(rows))
    assert restored.shape == rows.shape
    assert np.sqrt(np.mean((restored - rows) ** 2)) < 0.05 * (rows.max() - rows.min())


def test_larger_pictures_are_scaled_to_the_model():
    fitted = zoo.LatentTransformer("convae-200.photos", train=False, device="cpu")
    pictures = smooth(3, size=80, channels=3)
    assert fitted.fit_transform(pictures).shape == (3, 200)
    assert fitted.inverse_transform(fitted.transform(pictures)).shape == (3, 3, 32, 32)


def test_the_output_is_a_data_frame_with_named_columns():
    pytest.importorskip("pandas")
    fitted = zoo.LatentTransformer(**FAST).set_output(transform="pandas")
    found = fitted.fit_transform(smooth(20))
    assert list(found.columns) == [f"latenttransformer{i}" for i in range(4)]
    assert list(fitted.get_feature_names_out()) == list(found.columns)


def test_a_pipeline_clusters_latents():
    pipeline = make_pipeline(zoo.LatentTransformer(**FAST), KMeans(2, n_init=1, random_state=0))
    X = torch.cat([smooth(10), 255 - smooth(10) // 4])  # noqa: N806 - scikit-learn's name
    assert set(pipeline.fit_predict(X)) == {0, 1}


def test_bad_input_is_refused_in_one_line():
    fitted = zoo.LatentTransformer(**FAST).fit(smooth(10))
    with pytest.raises(InputError, match="latents of convae-200 have 4 features, got 5"):
        fitted.inverse_transform(np.zeros((2, 5)))
    with pytest.raises(InputError, match="contains NaN"):
        fitted.inverse_transform(np.full((2, 4), np.nan))
    with pytest.raises(InputError, match="X has 1 sample; at least 2 images"):
        zoo.LatentTransformer(**FAST).fit(smooth(1))
    with pytest.raises(InputError, match="image_shape is not set"):
        zoo.LatentTransformer(**FAST).fit(np.zeros((9, 9)))

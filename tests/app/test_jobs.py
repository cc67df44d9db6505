"""The functions behind the app's tabs return the library's own pictures and numbers."""

import attrs
import numpy as np
import pytest
import torch
from PIL import Image

import convae_zoo as zoo
import detectors
from convae_zoo.app.compress import compress_picture
from convae_zoo.app.denoise import denoise_picture
from convae_zoo.app.detect import judge, score_picture
from convae_zoo.app.models import load_models
from convae_zoo.app.reconstruct import reconstruct_picture
from convae_zoo.app.sample import sample_picture
from convae_zoo.cli import main
from convae_zoo.errors import DataError, InputError, WeightsError
from convae_zoo.tasks.detect.example import fit_example


def psnr(ours, theirs):
    error = np.square((np.asarray(ours, float) - np.asarray(theirs, float)) / 255).mean()
    return f"{-10 * np.log10(error):.2f} dB"


def test_a_reconstruction_is_that_of_zoo_reconstruct_with_its_psnr(models, photo):
    model = models.models["plain"].model
    result = reconstruct_picture(model, photo)
    (expected,) = zoo.reconstruct(model, [photo])
    assert np.array_equal(result.after, expected)
    assert dict(result.figures)["PSNR"] == psnr(expected, Image.open(photo))


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "I;16"])
def test_a_picture_keeps_its_form(models, tmp_path, mode):
    array = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)
    image = Image.fromarray(array * 100 if mode == "I;16" else (array % 256).astype(np.uint8))
    path = tmp_path / "picture.png"
    (image if mode == "I;16" else image.convert(mode)).save(path)
    for result in (
        reconstruct_picture(models.models["plain"].model, path),
        denoise_picture(models.models["blind"].model, path, added=10),
    ):
        assert (result.before.mode, result.after.mode) == (mode, mode)
        assert result.after.size == (30, 20)


@pytest.mark.parametrize(("dtype", "size"), [("fp32", 32), ("fp16", 16)])
def test_a_compressed_picture_is_that_of_encode_and_decode(models, photo, tmp_path, dtype, size):
    path = tmp_path / "plain.safetensors"
    zoo.save_model(models.models["plain"].model, path)
    loaded = load_models([str(path)], "cpu").models[str(path)]
    (tmp_path / "app").mkdir()
    result = compress_picture(
        loaded.model, photo, tmp_path / "app", weights=loaded.sha256, dtype=dtype
    )
    latents, decoded = str(tmp_path / "cli.safetensors"), tmp_path / "decoded"
    assert main(["encode", str(path), str(photo), "--out", latents, "--dtype", dtype]) == 0
    assert main(["decode", str(path), latents, "--out", str(decoded)]) == 0
    (expected,) = decoded.iterdir()
    assert np.array_equal(result.after, Image.open(expected))
    figures = dict(result.figures)
    assert (figures["Latent"], figures["Pixels"]) == (f"{size} bytes", "768 bytes")
    assert figures["PSNR"] == psnr(result.after, result.before)


def test_a_clean_picture_gets_noise_and_the_denoised_one_is_compared_with_it(models, photo):
    model = models.models["told"].model
    result = denoise_picture(model, photo, sigma=20.0, added=20.0)
    (expected,) = zoo.denoise(model, [result.before], 20.0)
    assert np.array_equal(result.after, expected)
    figures, clean = dict(result.figures), Image.open(photo)
    assert figures["PSNR"] == psnr(expected, clean)
    assert figures["Before"].startswith(psnr(result.before, clean))
    assert figures["Sigma"] == "20.0 of 255"


def test_a_noisy_picture_is_denoised_as_it_is_and_sigma_is_given_to_models_that_take_it(
    models, photo
):
    told, blind = models.models["told"].model, models.models["blind"].model
    given = [denoise_picture(told, photo, sigma=s) for s in (5.0, 50.0)]
    assert np.array_equal(given[0].before, Image.open(photo))
    assert not np.array_equal(*(each.after for each in given))
    assert "PSNR" not in dict(given[0].figures)
    ignored = denoise_picture(blind, photo, sigma=50.0)  # a warning would be an error
    assert dict(ignored.figures).keys() == {"Estimated sigma"}


def test_a_verdict_is_that_of_the_detector_at_every_alarm_rate(tmp_path):
    detector = detectors.whole()
    path = tmp_path / "picture.png"
    image = detectors.smooth(1, seed=3)[0, 0]
    image[2:5, 2:5] = 255
    Image.fromarray(image.numpy()).save(path)
    finding = score_picture(detector, path)
    for rate in (0.1, 0.5):
        figures = dict(judge(finding, rate).figures)
        expected = attrs.evolve(finding, detector=detector).detector
        expected.set_params(alarm_rate=rate)
        assert figures["Score"] == f"{-expected.score_samples([path])[0]:.4g}"
        assert figures["Threshold"] == f"{expected.threshold_:.4g}"
        assert (figures["Verdict"] == "anomalous") == (expected.predict([path])[0] == -1)
        assert figures["p-value"] == f"{expected.p_values([path])[0]:.4f}"
    detector.set_params(alarm_rate=0.1)
    with pytest.raises(InputError, match="needs"):
        judge(finding, 0.001)
    assert detector.alarm_rate == 0.1


def test_the_example_detector_flags_defects_and_no_good_picture():
    detector = fit_example("convae-200.photos", "cpu")
    test = zoo.load_dataset("defects", split="test")
    flagged = detector.predict(test) == -1
    good = test.labels.numpy() == 0
    assert flagged[good].mean() <= 0.1
    assert flagged[~good].mean() > 0.5


def test_samples_are_those_of_the_model(models):
    (model,) = (each.model for each in models.models.values() if each.samples)
    grid = np.asarray(sample_picture(model, 3, seed=5))
    images = model.postprocess(model.sample(3, generator=torch.Generator().manual_seed(5)))
    assert grid.shape == (128 + 8, 3 * (128 + 4) + 4, 3)
    for index, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
        assert np.array_equal(grid[4:132:8, 4 + 132 * index : 132 + 132 * index : 8], image)


@pytest.mark.parametrize("job", [reconstruct_picture, denoise_picture])
def test_a_file_that_is_no_picture_or_has_too_many_pixels_is_refused(models, photo, tmp_path, job):
    text = tmp_path / "notes.png"
    text.write_text("no picture")
    model = models.models["blind"].model
    with pytest.raises(DataError, match=r"notes\.png is not an image"):
        job(model, text)
    with pytest.raises(DataError, match=r"70×50 pixels are more than the 3,000 allowed"):
        job(model, photo, max_pixels=3000)


def test_all_installed_models_are_offered_and_a_named_one_must_load(tmp_path):
    loaded = load_models([], "cpu")
    names = {*loaded.models, *(line.partition(":")[0] for line in loaded.left_out)}
    assert names == set(zoo.list_models(pretrained=True))
    assert loaded.best in loaded.models
    with pytest.raises(WeightsError, match="no such file"):
        load_models([str(tmp_path / "gone.safetensors")], "cpu")

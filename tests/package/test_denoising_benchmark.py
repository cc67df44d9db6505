"""The training of the denoiser and its comparison with other methods, on small pictures."""

import io
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file

import convae_zoo as zoo
from benchmarks.denoising import compare, methods, photographs, speed, train
from benchmarks.denoising.crops import Crops


@pytest.fixture
def folder(tmp_path):
    """Make a folder of two training pictures."""
    random = np.random.default_rng(0)
    for kind in ("photographs", "renderings"):
        where = tmp_path / "pictures" / "train" / kind
        where.mkdir(parents=True)
        pixels = random.integers(0, 256, (100, 130, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(where / "one.png")
    return tmp_path / "pictures"


def test_webp_images_are_found_in_a_file_of_another_kind():
    images = [Image.new("RGB", (20 + i, 10), (90 * i, 0, 0)) for i in range(2)]
    data = b"some RIFF text"
    for image in images:
        stream = io.BytesIO()
        image.save(stream, "webp", lossless=True)
        data += stream.getvalue() + b"between"
    assert [i.size for i in photographs.webp_images(data)] == [(20, 10), (21, 10)]


def test_crops_are_noisy_by_their_sigma(folder):
    clean, noisy, sigma = Crops(folder, 64, seed=0).batch(6)
    assert clean.shape == noisy.shape == (6, 3, 64, 64)
    assert clean.min() >= -1
    assert clean.max() <= 1
    measured = (noisy - clean).flatten(1).std(1) * 255 / 2
    torch.testing.assert_close(measured, sigma, rtol=0.05, atol=0.01)


def test_a_run_goes_on_from_its_checkpoint_and_stores_a_model(folder, tmp_path):
    arguments = [str(folder), "--out", str(tmp_path / "run"), "--minutes", "0.001"]
    runner = CliRunner()
    for more in ([], ["--resume"]):
        runner.invoke(train.main, arguments + more, catch_exceptions=False)
    tensors = load_file(tmp_path / "run" / "checkpoint.safetensors")
    model = zoo.load_model(tmp_path / "run" / "model.safetensors")
    for name, parameter in model.state_dict().items():
        assert torch.equal(parameter, tensors[f"mean.{name}"])
    resumed = train.Run(tmp_path / "run", seed=1)
    resumed.resume()
    assert resumed.step >= 2


def test_a_step_with_an_outlying_loss_is_left_out(folder, tmp_path):
    run = train.Run(tmp_path, seed=0)
    before = [p.clone() for p in run.model.parameters()]
    run.update(*Crops(folder, 32, seed=0).batch(1), rate=0.01, limit=0)
    assert run.step == 0
    assert all(torch.equal(a, b) for a, b in zip(before, run.model.parameters(), strict=True))


@pytest.mark.parametrize("channels", [1, 3])
def test_every_classic_method_removes_noise(channels):
    picture = np.kron(np.array([[40, 200], [120, 80]], np.uint8), np.ones((16, 16), np.uint8))
    picture = np.stack([picture, picture // 2, 255 - picture][:channels], -1)
    added = compare.noisy(picture, 25, 0)
    before = np.square(added - picture / 255).mean()
    for name, denoise in methods.CLASSIC.items():
        if name == "bm3d":
            pytest.importorskip("bm3d")
        after = np.square(denoise(added, 25 / 255) - picture / 255).mean()
        assert after < before / 2, name


def test_the_summary_averages_over_the_pictures():
    case = {"ssim": 0.5, "cpu_seconds_per_megapixel": 1.0}
    results = {"a": {f"{n} {s}": {"psnr": s + n, **case} for n in (0, 2) for s in compare.SIGMAS}}
    row = compare.summary(json.loads(json.dumps(results)))["a"]
    assert row["psnr_25"] == 26
    assert row["cpu_seconds_per_megapixel"] == 1


def test_the_speed_of_a_method_is_the_median_over_rounds_per_megapixel(monkeypatch):
    picture = np.zeros((100, 50, 3), np.uint8)
    clock = iter([0, 0.01, 1, 1.2, 2, 2.01])
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(clock))
    found = speed.wall_seconds({"same": lambda x, _: x}, [picture], 3)
    assert found["same"] == pytest.approx(0.01 / 0.005)

"""A saved model is restored exactly; a model that could not be is not saved."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors import torch as safetensors
from torch import nn

import convae_zoo as zoo
from convae_zoo.errors import FileError, UsageError
from convae_zoo.registry.specs import Recipe
from convae_zoo.weights.load import load_model, read_metadata
from convae_zoo.weights.save import save_model
from weight_files import images, small, told


@pytest.mark.parametrize("name", ["convae-200", "convae-1000"])
def test_a_loaded_model_equals_the_saved_one(tmp_path, name):
    model = zoo.create_model(name).eval()
    save_model(model, tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.plan == model.plan
    assert not loaded.training
    x = images(size=32)
    assert torch.equal(loaded(x), model(x))
    assert all(p.requires_grad for p in loaded.parameters())


def test_outputs_are_bit_equal_in_another_process(tmp_path):
    model = small().eval()
    save_model(model, tmp_path / "m.safetensors")
    safetensors.save_file({"x": images()}, tmp_path / "x.safetensors")
    code = (
        "import sys, torch, convae_zoo as zoo\n"
        "from safetensors.torch import load_file, save_file\n"
        "model = zoo.load_model('m.safetensors')\n"
        "with torch.no_grad():\n"
        "    save_file({'y': model(load_file('x.safetensors')['x'])}, 'y.safetensors')\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert torch.equal(safetensors.load_file(tmp_path / "y.safetensors")["y"], model(images()))


def test_a_composed_model_is_restored_with_its_configs_and_value_range(tmp_path):
    config = {"width": 2, "latent_dim": 5, "image_size": 12, "activation": "gelu"}
    model = zoo.compose("convae", "convae", config, config, value_range=(0.0, 1.0))
    save_model(model, tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.plan == model.plan
    assert loaded.value_range == (0.0, 1.0)
    assert loaded.plan.name is None


def test_a_saved_file_is_a_valid_safetensors_file(tmp_path):
    model = small()
    save_model(model, tmp_path / "m.safetensors")
    plain = safetensors.load_file(tmp_path / "m.safetensors")
    assert plain.keys() == model.state_dict().keys()
    assert all(torch.equal(plain[k], v) for k, v in model.state_dict().items())
    with safe_open(tmp_path / "m.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert metadata.keys() == {"format", "convae_zoo"}
    assert metadata["format"] == "pt"
    assert json.loads(metadata["convae_zoo"]) == read_metadata(tmp_path / "m.safetensors")


def test_metadata_records_how_the_weights_were_trained(tmp_path):
    recipe = Recipe(epochs=3)
    save_model(
        small(),
        tmp_path / "m.safetensors",
        recipe=recipe,
        dataset={"name": "photos", "fingerprint": "ab"},
        metrics={"mse": 0.25},
        license="CC0-1.0",
        extra={"seed": 7},
    )
    metadata = read_metadata(tmp_path / "m.safetensors")
    assert metadata["format_version"] == 1
    assert metadata["model"]["name"] == "convae-200"
    assert metadata["model"]["encoder"]["config"]["latent_dim"] == 3
    assert metadata["model"]["value_range"] == [-1.0, 1.0]
    part = {"plugin": "reference", "distribution": "convae-zoo", "version": zoo.__version__}
    assert metadata["distributions"] == [
        {"part": "encoder", **part},
        {"part": "decoder", **part},
    ]
    assert metadata["versions"] == {
        "convae_zoo": zoo.__version__,
        "torch": torch.__version__,
    }
    assert Recipe(**metadata["recipe"]) == recipe
    assert metadata["dataset"] == {"name": "photos", "fingerprint": "ab"}
    assert metadata["metrics"] == {"mse": 0.25}
    assert metadata["license"] == "CC0-1.0"
    assert metadata["extra"] == {"seed": 7}
    assert metadata["dtype"] == "fp32"
    assert len(metadata["sha256"]) == 64


def test_equal_models_give_equal_bytes_in_any_process(tmp_path):
    code = (
        "import sys, torch, convae_zoo as zoo\n"
        "torch.manual_seed(0)\n"
        "m = zoo.create_model('convae-200', width=2, latent_dim=3, image_size=8)\n"
        "zoo.save_model(m, sys.argv[1], metrics={'b': 1, 'a': 2})\n"
    )
    for name in ("a", "b"):
        environment = {**os.environ, "PYTHONHASHSEED": "1" if name == "a" else "2"}
        file = str(tmp_path / name)
        subprocess.run([sys.executable, "-c", code, file], env=environment, check=True)
    save_model(small(), tmp_path / "c", metrics={"a": 2, "b": 1})
    written = {(tmp_path / name).read_bytes() for name in "abc"}
    assert len(written) == 1


def test_a_run_folder_loads_as_its_model(tmp_path):
    model = small()
    save_model(model, tmp_path / "model.safetensors")
    assert torch.equal(load_model(str(tmp_path))(images()), model(images()))
    assert read_metadata(tmp_path)["model"]["name"] == "convae-200"


def test_an_existing_file_is_a_path_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(small(), "convae-200")
    assert load_model("convae-200").latent_shape == (3,)


def test_loading_does_not_change_the_random_state(tmp_path):
    save_model(small(), tmp_path / "m.safetensors")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_model(tmp_path / "m.safetensors")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("dtype", "bound"), [("fp16", 2**-11), ("bf16", 2**-8)])
def test_half_precision_is_loaded_as_float32_with_its_rounding(tmp_path, dtype, bound):
    model = small()
    save_model(model, tmp_path / "full")
    save_model(model, tmp_path / "half", dtype=dtype)
    stored = safetensors.load_file(tmp_path / "half")
    loaded = load_model(tmp_path / "half").state_dict()
    for name, value in model.state_dict().items():
        assert stored[name].element_size() == 2
        assert loaded[name].dtype == torch.float32
        assert torch.equal(loaded[name], stored[name].float())
        assert torch.allclose(loaded[name], value, rtol=bound, atol=1e-7)
    assert (tmp_path / "half").stat().st_size < 0.75 * (tmp_path / "full").stat().st_size


def test_memory_layout_and_compilation_do_not_change_the_saved_weights(tmp_path):
    save_model(small(), tmp_path / "a")
    save_model(small().to(memory_format=torch.channels_last), tmp_path / "b")
    save_model(torch.compile(small()), tmp_path / "c")
    assert len({(tmp_path / name).read_bytes() for name in "abc"}) == 1
    save_model(small().bfloat16(), tmp_path / "d")
    assert next(load_model(tmp_path / "d").parameters()).dtype == torch.float32


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_model_with_non_finite_weights_is_not_saved(tmp_path, bad):
    model = small()
    with torch.no_grad():
        model.decoder.conv[4].bias[1] = bad
    path = tmp_path / "m.safetensors"
    told(lambda: save_model(model, path), "'decoder.conv.4.bias'", "NaN or infinity")
    assert list(tmp_path.iterdir()) == []


def test_a_value_out_of_fp16_range_is_refused_with_a_remedy(tmp_path):
    model = small()
    with torch.no_grad():
        model.encoder.net[0].bias[0] = 7e4
    path = tmp_path / "m.safetensors"
    told(lambda: save_model(model, path, dtype="fp16"), "'encoder.net.0.bias'", "bf16 or fp32")
    save_model(model, path, dtype="bf16")
    assert load_model(path).encoder.net[0].bias[0].item() == pytest.approx(7e4, rel=0.01)


def test_saving_refuses_other_objects_and_unknown_dtypes(tmp_path):
    path = tmp_path / "m.safetensors"
    told(lambda: save_model(nn.Linear(1, 1), path), "Autoencoder", "Linear", kind=UsageError)
    told(lambda: save_model(small(), path, dtype="int8"), "fp32, fp16, bf16", kind=UsageError)


@pytest.mark.parametrize("metrics", [{"mse": float("nan")}, {"model": object()}, {1: 1, "a": 2}])
def test_metadata_that_is_not_json_serialisable_is_refused(tmp_path, metrics):
    told(lambda: save_model(small(), tmp_path / "m", metrics=metrics), "the metadata must be")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_reported(tmp_path):
    path = tmp_path / "no" / "m.safetensors"
    told(lambda: save_model(small(), path), str(path), kind=FileError)


def test_a_killed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(small(), path)
    before = path.read_bytes()
    code = (
        "import os, signal, sys, convae_zoo as zoo\n"
        "from pathlib import Path\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "zoo.save_model(zoo.create_model('convae-200'), sys.argv[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == before

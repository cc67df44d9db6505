"""Trained models are stored whole, found by name or path, and checked on loading."""

import functools
import hashlib
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors import torch as safetensors
from torch import nn

import convae_zoo as zoo
from convae_zoo import fields, hookimpl, registry, storage
from convae_zoo.autoencoder import Autoencoder
from convae_zoo.errors import FileError, UnknownNameError, UsageError, WeightsError
from convae_zoo.plugins import load_entry_points
from convae_zoo.registry import build_registry
from convae_zoo.specs import DecoderSpec, EncoderSpec, ModelSpec, Provenance, Recipe, WeightsSpec
from convae_zoo.weights import load_model, read_metadata, save_model

SMALL = {"width": 2, "latent_dim": 3, "image_size": 8}


def _small(**overrides: Any) -> Autoencoder:
    torch.manual_seed(0)
    return zoo.create_model("convae-200", **{**SMALL, **overrides})


def _images(count: int = 4, size: int = 8) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def _told(call: Callable[[], object], *parts: str, kind: type[Exception] = WeightsError) -> None:
    """Check that a call is refused in one line that has these parts."""
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


@functools.cache
def _file_bytes() -> bytes:
    document, tensors = _parts(_small())
    return b"".join(storage.pack(document, tensors))


def _parts(model: Autoencoder) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Make the document and the tensors that a file of the model has."""
    part = {"plugin": "reference", "distribution": "convae-zoo", "version": "0.1.0"}
    document = {
        "model": {
            "name": model.plan.name,
            "encoder": {"name": "convae", "config": attrs.asdict(model.plan.encoder_config)},
            "decoder": {"name": "convae", "config": attrs.asdict(model.plan.decoder_config)},
            "value_range": [-1.0, 1.0],
        },
        "distributions": [{"part": "encoder", **part}, {"part": "decoder", **part}],
    }
    return document, {name: value.clone() for name, value in model.state_dict().items()}


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Write a well-formed file with a right digest, of a document and tensors of choice."""

    def write(change: Callable[[dict[str, Any], dict[str, torch.Tensor]], object]) -> Path:
        document, tensors = _parts(_small())
        change(document, tensors)
        path = tmp_path / "changed.safetensors"
        path.write_bytes(b"".join(storage.pack(document, tensors)))
        return path

    return write


# What comes back


@pytest.mark.parametrize("name", ["convae-200", "convae-1000"])
def test_a_loaded_model_equals_the_saved_one(tmp_path, name):
    model = zoo.create_model(name).eval()
    save_model(model, tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.plan == model.plan
    assert not loaded.training
    x = _images(size=32)
    assert torch.equal(loaded(x), model(x))
    assert all(p.requires_grad for p in loaded.parameters())


def test_another_process_gets_bit_equal_outputs(tmp_path):
    model = _small().eval()
    save_model(model, tmp_path / "m.safetensors")
    safetensors.save_file({"x": _images()}, tmp_path / "x.safetensors")
    code = (
        "import sys, torch, convae_zoo as zoo\n"
        "from safetensors.torch import load_file, save_file\n"
        "model = zoo.load_model('m.safetensors')\n"
        "with torch.no_grad():\n"
        "    save_file({'y': model(load_file('x.safetensors')['x'])}, 'y.safetensors')\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert torch.equal(safetensors.load_file(tmp_path / "y.safetensors")["y"], model(_images()))


def test_a_composed_model_comes_back_with_its_configs_and_range(tmp_path):
    config = {"width": 2, "latent_dim": 5, "image_size": 12, "activation": "gelu"}
    model = zoo.compose("convae", "convae", config, config, value_range=(0.0, 1.0))
    save_model(model, tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.plan == model.plan
    assert loaded.value_range == (0.0, 1.0)
    assert loaded.plan.name is None


def test_a_saved_file_is_an_ordinary_safetensors_file(tmp_path):
    model = _small()
    save_model(model, tmp_path / "m.safetensors")
    plain = safetensors.load_file(tmp_path / "m.safetensors")
    assert plain.keys() == model.state_dict().keys()
    assert all(torch.equal(plain[k], v) for k, v in model.state_dict().items())
    with safe_open(tmp_path / "m.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert metadata.keys() == {"format", "convae_zoo"}
    assert metadata["format"] == "pt"
    assert json.loads(metadata["convae_zoo"]) == read_metadata(tmp_path / "m.safetensors")


def test_metadata_says_how_the_weights_came_to_be(tmp_path):
    recipe = Recipe(epochs=3)
    save_model(
        _small(),
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
    save_model(_small(), tmp_path / "c", metrics={"a": 2, "b": 1})
    written = {(tmp_path / name).read_bytes() for name in "abc"}
    assert len(written) == 1


def test_a_run_folder_means_its_model(tmp_path):
    model = _small()
    save_model(model, tmp_path / "model.safetensors")
    assert torch.equal(load_model(str(tmp_path))(_images()), model(_images()))
    assert read_metadata(tmp_path)["model"]["name"] == "convae-200"


def test_a_file_that_exists_is_a_path_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(_small(), "convae-200")
    assert load_model("convae-200").latent_shape == (3,)


def test_loading_leaves_the_random_state_alone(tmp_path):
    save_model(_small(), tmp_path / "m.safetensors")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_model(tmp_path / "m.safetensors")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("dtype", "bound"), [("fp16", 2**-11), ("bf16", 2**-8)])
def test_half_precision_is_loaded_as_float32_with_its_rounding(tmp_path, dtype, bound):
    model = _small()
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


def test_a_channels_last_or_compiled_or_bf16_model_is_saved_alike(tmp_path):
    save_model(_small(), tmp_path / "a")
    save_model(_small().to(memory_format=torch.channels_last), tmp_path / "b")
    save_model(torch.compile(_small()), tmp_path / "c")
    assert len({(tmp_path / name).read_bytes() for name in "abc"}) == 1
    save_model(_small().bfloat16(), tmp_path / "d")
    assert next(load_model(tmp_path / "d").parameters()).dtype == torch.float32


# What is not saved


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_model_that_is_not_finite_is_not_saved(tmp_path, bad):
    model = _small()
    with torch.no_grad():
        model.decoder.conv[4].bias[1] = bad
    path = tmp_path / "m.safetensors"
    _told(lambda: save_model(model, path), "'decoder.conv.4.bias'", "NaN or infinity")
    assert list(tmp_path.iterdir()) == []


def test_a_value_beyond_fp16_is_refused_with_what_to_do(tmp_path):
    model = _small()
    with torch.no_grad():
        model.encoder.net[0].bias[0] = 7e4
    path = tmp_path / "m.safetensors"
    _told(lambda: save_model(model, path, dtype="fp16"), "'encoder.net.0.bias'", "bf16 or fp32")
    save_model(model, path, dtype="bf16")
    assert load_model(path).encoder.net[0].bias[0].item() == pytest.approx(7e4, rel=0.01)


def test_what_is_no_autoencoder_or_no_dtype_is_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    _told(lambda: save_model(nn.Linear(1, 1), path), "Autoencoder", "Linear", kind=UsageError)
    _told(lambda: save_model(_small(), path, dtype="int8"), "fp32, fp16, bf16", kind=UsageError)


@pytest.mark.parametrize("metrics", [{"mse": float("nan")}, {"model": object()}, {1: 1, "a": 2}])
def test_metadata_that_json_cannot_hold_is_refused(tmp_path, metrics):
    _told(lambda: save_model(_small(), tmp_path / "m", metrics=metrics), "the metadata must be")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    path = tmp_path / "no" / "m.safetensors"
    _told(lambda: save_model(_small(), path), str(path), kind=FileError)


def test_a_killed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(_small(), path)
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


# What is not loaded: files


def test_a_missing_file_or_folder_is_told(tmp_path):
    missing = tmp_path / "m.safetensors"
    _told(lambda: load_model(missing), str(missing), "no such file")
    _told(lambda: load_model("m.safetensors"), "m.safetensors", "no such file")
    _told(lambda: load_model("runs/none-of-that-name"), "no such file")
    _told(lambda: load_model(tmp_path), str(tmp_path), "no model.safetensors")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_an_unreadable_file_is_told(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(_file_bytes())
    path.chmod(0)
    _told(lambda: load_model(path), str(path), "cannot be read")


def _bytes(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "m.safetensors"
    path.write_bytes(data)
    return path


def test_an_empty_file_is_told(tmp_path):
    path = _bytes(tmp_path, b"")
    _told(lambda: load_model(path), str(path), "is empty")


class _Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("make", ["torch", "legacy", "plain"])
def test_a_pickle_is_refused_and_not_run(tmp_path, make):
    trap = tmp_path / "sprung"
    path = tmp_path / "m.pt"
    if make == "plain":
        path.write_bytes(pickle.dumps(_Trap(trap)))
    else:
        torch.save(_Trap(trap), path, _use_new_zipfile_serialization=make == "torch")
    _told(lambda: load_model(path), str(path), "pickle", "not a safetensors file", "save_model")
    assert not trap.exists()


def test_plain_safetensors_without_our_metadata_say_what_is_expected(tmp_path):
    for metadata in (None, {"format": "pt"}):
        safetensors.save_file(_small().state_dict(), tmp_path / "m", metadata)
        _told(lambda: load_model(tmp_path / "m"), "no 'convae_zoo' metadata", "save_model")


def _with_text(tmp_path: Path, text: str) -> Path:
    safetensors.save_file(_small().state_dict(), tmp_path / "m", {"convae_zoo": text})
    return tmp_path / "m"


@pytest.mark.parametrize("text", ["", "{", "not json", "[" * 100_000])
def test_metadata_that_is_no_json_is_refused(tmp_path, text):
    _told(lambda: load_model(_with_text(tmp_path, text)), "is not JSON")


@pytest.mark.parametrize("text", ["null", "[]", "{}", '{"format_version": "1"}', "1e999"])
def test_metadata_without_a_version_is_refused(tmp_path, text):
    _told(lambda: load_model(_with_text(tmp_path, text)), "lacks a format_version")


def test_a_newer_format_says_upgrade(tmp_path):
    path = _with_text(tmp_path, '{"format_version": 2, "something": "new"}')
    _told(lambda: load_model(path), "newer convae_zoo", "upgrade")


def test_a_file_without_a_digest_is_refused(tmp_path):
    _told(lambda: load_model(_with_text(tmp_path, '{"format_version": 1}')), "lacks the sha256")


def test_an_altered_tensor_is_refused(tmp_path):
    data = bytearray(_file_bytes())
    data[-3] ^= 1
    _told(lambda: load_model(_bytes(tmp_path, bytes(data))), "was altered")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (rb"\"activation\":\"relu\"", rb"\"activation\":\"gelu\""),
        (rb"\"value_range\":[-1.0,1.0]", rb"\"value_range\":[-2.0,1.0]"),
        (rb"\"name\":\"convae-200\"", rb"\"name\":\"convae-201\""),
        (b'"decoder.conv.0.bias"', b'"decoder.conv.9.bias"'),
    ],
)
def test_an_altered_header_is_refused(tmp_path, old, new):
    data = _file_bytes()
    assert old in data
    _told(lambda: load_model(_bytes(tmp_path, data.replace(old, new))), "was altered")


def test_swapped_tensors_are_refused(tmp_path):
    """Two tensors of one shape with their places in the file exchanged."""
    first, second = b'"encoder.net.2.weight"', b'"encoder.net.0.weight"'
    data = _file_bytes()
    model = _small(in_channels=2)
    document, tensors = _parts(model)
    assert tensors["encoder.net.2.weight"].shape == tensors["encoder.net.0.weight"].shape
    data = b"".join(storage.pack(document, tensors))
    swapped = data.replace(first, b'"?"').replace(second, first).replace(b'"?"', second)
    assert len(swapped) == len(data)
    _told(lambda: load_model(_bytes(tmp_path, swapped)), "was altered")


SLOW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _same_or_refused(path: Path) -> None:
    """Check that a file is refused in one line, or gives the very model of the intact file."""
    try:
        model = load_model(path)
    except WeightsError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
        return
    intact = _small()
    assert model.plan == intact.plan
    mine = model.state_dict()
    assert all(torch.equal(mine[k], v) for k, v in intact.state_dict().items())


@SLOW
@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255), head=st.booleans())
def test_a_file_with_any_byte_changed_is_refused(tmp_path, where, flip, head):
    data = bytearray(_file_bytes())
    end = 8 + int.from_bytes(data[:8], "little")
    place = int(where * end) if head else end + int(where * (len(data) - end))
    data[place] ^= flip
    path = _bytes(tmp_path, bytes(data))
    if head:
        _same_or_refused(path)  # the header has bytes without meaning: padding, "format"
    else:
        _told(lambda: load_model(path), "was altered")


@SLOW
@given(where=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_anywhere_is_refused(tmp_path, where):
    data = _file_bytes()
    path = _bytes(tmp_path, data[: int(where * len(data))])
    _told(lambda: load_model(path), str(path))


@SLOW
@given(data=st.binary(max_size=300), start=st.sampled_from([b"", b"\x02" + bytes(7) + b"{}"]))
def test_random_bytes_are_refused(tmp_path, data, start):
    path = _bytes(tmp_path, start + data)
    _told(lambda: load_model(path), str(path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@SLOW
@given(
    key=st.sampled_from(
        ["model", "distributions"]
        + [f"model.{k}" for k in ("name", "encoder", "decoder", "value_range")]
        + [f"model.encoder.{k}" for k in ("name", "config")]
        + [f"model.encoder.config.{k}" for k in ("width", "activation", "latent_dim")]
        + ["distributions.0", "distributions.1.distribution", "distributions.0.part"]
    ),
    value=JSON,
)
def test_a_document_of_any_odd_content_is_refused_or_the_same_model(put, key, value):
    """A file with a right digest that another program made."""

    def change(document: Any, _: object) -> None:
        *way, last = (int(k) if k.isdigit() else k for k in key.split("."))
        for step in way:
            document = document[step]
        document[last] = value

    try:
        path = put(change)
    except WeightsError:
        return  # infinity, which JSON cannot hold
    try:
        model = load_model(path)
    except WeightsError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right
        return
    assert model.state_dict().keys() == _small().state_dict().keys()


# What is not loaded: models


def _put_key(*way: str, value: object) -> Callable[[Any, Any], None]:
    def change(document: Any, _: object) -> None:
        for step in way[:-1]:
            document = document[step]
        document[way[-1]] = value

    return change


def test_an_encoder_that_is_not_installed_names_its_distribution(put):
    def change(document: Any, _: object) -> None:
        document["model"]["encoder"]["name"] = "wavelet"
        document["distributions"][0].update(distribution="convae-wavelet", version="2.1")

    path = put(change)
    _told(lambda: load_model(path), "'wavelet'", "pip install convae-wavelet", "2.1")


def test_a_config_that_is_no_longer_valid_is_told(put):
    config = {**SMALL, "in_channels": 3, "activation": "relu"}
    for odd, part in (({"depth": 3}, "'depth'"), ({"width": 0}, "width must be")):
        path = put(_put_key("model", "encoder", "config", value={**config, **odd}))
        _told(lambda path=path: load_model(path), str(path), "config does not fit", part)


@pytest.mark.parametrize("size", [81_012, 2**31, 2**40, 2**70])
def test_a_huge_size_in_the_config_takes_no_memory(put, size):
    path = put(_put_key("model", "encoder", "config", "width", value=size))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _told(lambda: load_model(path), str(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**19  # 512 MiB


def test_another_version_of_the_plugin_is_named_with_the_mismatch(put):
    def change(document: Any, _: object) -> None:
        document["distributions"][0]["version"] = "0.0.7"
        document["model"]["encoder"]["config"]["width"] = 4

    path = put(change)
    _told(
        lambda: load_model(path), f"written with convae-zoo 0.0.7, installed is {zoo.__version__}"
    )


def test_another_shape_names_the_tensor_and_both_shapes(put):
    def change(_: object, tensors: Any) -> None:
        tensors["encoder.net.2.weight"] = torch.zeros(2, 5, 3, 3)

    path = put(change)
    _told(lambda: load_model(path), "'encoder.net.2.weight'", "2×5×3×3", "2×2×3×3")


def test_a_missing_or_unknown_or_integer_tensor_is_named(put):
    changes: list[tuple[Callable[[Any], object], str]] = [
        (lambda t: t.pop("decoder.linear.0.bias"), "no tensor 'decoder.linear.0.bias'"),
        (lambda t: t.update({"encoder.net.1.weight": torch.ones(1)}), "a tensor 'encoder.net.1.w"),
        (lambda t: t.update({"encoder.net.0.bias": torch.ones(2, dtype=torch.int32)}), "int32"),
    ]
    for change, part in changes:
        path = put(lambda _, tensors, change=change: change(tensors))
        _told(lambda path=path: load_model(path), str(path), part)


@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_weights_that_are_not_finite_are_named(put, bad):
    def change(_: object, tensors: Any) -> None:
        tensors["encoder.net.13.bias"][1] = bad

    path = put(change)
    _told(lambda: load_model(path), "'encoder.net.13.bias'", "NaN or infinity")


def test_a_device_that_is_not_there_is_told(tmp_path):
    path = _bytes(tmp_path, _file_bytes())
    _told(lambda: load_model(path, device="warp"), "device 'warp'", kind=UsageError)


# Names


def test_an_unknown_name_or_tag_is_told_with_the_nearest():
    _told(lambda: load_model("convae-20"), "'convae-200'", kind=UnknownNameError)
    _told(lambda: load_model("convae-200.phtos"), "convae-200", "phtos", kind=UnknownNameError)


class Stubborn(nn.Linear):
    """A part that looks at a number while it is built, so that it has to be built with memory."""

    def __init__(self) -> None:
        super().__init__(4, 4)
        self.scale = torch.tensor([2.0]).item()


class Odd(nn.Module):
    """Every kind of state that a part may have, beside images that pass through unchanged."""

    def __init__(self, scale: float, odd: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("steps", torch.tensor(0))
        self.register_buffer("exact", torch.zeros(1, dtype=torch.float64))
        self.register_buffer("mask", torch.zeros(3, dtype=torch.bool))
        self.register_buffer("empty", torch.zeros(0, 2))
        self.register_buffer("fixed", torch.full((1,), scale), persistent=False)
        self.constant = torch.tensor([float(v) for v in odd])
        self.first = nn.Linear(4, 4, bias=False)
        self.tied = nn.Linear(4, 4, bias=False)
        self.tied.weight = self.first.weight
        self.frozen = nn.Parameter(torch.rand(2), requires_grad=False)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
        self.turned = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3))
        self.norm = nn.BatchNorm2d(1)
        self.stubborn = Stubborn()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.norm(x * self.fixed) + self.constant.sum()
        return out


@attrs.frozen(kw_only=True)
class OddConfig:
    scale: float = fields.number(2.0)
    odd: tuple[float, float] = fields.value_range((0.25, 0.5))

    input_shape = output_shape = latent_shape = (1, 4, 4)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Add a plugin with models that have weights in an importable package; give its folder."""
    folder = tmp_path / "shelf_of_weights"
    (folder / "files").mkdir(parents=True)
    (folder / "__init__.py").touch()
    good = folder / "files" / "good.safetensors"
    good.write_bytes(_file_bytes())
    digest = hashlib.sha256(_file_bytes()).hexdigest()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, folder.name, raising=False)  # another test's

    def weights(tag: str, file: str | None, sha256: str | None = digest) -> WeightsSpec:
        return WeightsSpec(tag=tag, dataset="photos", file=file, sha256=sha256)

    @hookimpl
    def register_models(register: Callable[[ModelSpec], None]) -> None:
        tags = (
            weights("good", "shelf_of_weights:files/good.safetensors"),
            weights("gone", "shelf_of_weights:files/gone.safetensors"),
            weights("lost", "no_such_package:good.safetensors"),
            weights("untrained", None, None),
        )
        register(ModelSpec(name="shelf", encoder="convae", decoder="convae", weights=tags))
        register(ModelSpec(name="bare", encoder="convae", decoder="convae"))

    @hookimpl
    def register_encoders(register: Callable[[EncoderSpec], None]) -> None:
        register(EncoderSpec(name="odd", factory=Odd, config=OddConfig))

    @hookimpl
    def register_decoders(register: Callable[[DecoderSpec], None]) -> None:
        register(DecoderSpec(name="odd", factory=Odd, config=OddConfig))

    manager = load_entry_points()
    hooks = (register_models, register_encoders, register_decoders)
    plugin = ModuleType("shelf")
    vars(plugin).update({hook.__name__: hook for hook in hooks})
    manager.add(Provenance("shelf", "shelf-dist", "1"), lambda: plugin)
    built = build_registry(manager)
    monkeypatch.setattr(registry, "_installed", lambda: built)
    return folder / "files"


@pytest.mark.usefixtures("shelf")
def test_a_registered_name_loads_its_file():
    loaded = load_model("shelf.good")
    assert torch.equal(loaded(_images()), _small().eval()(_images()))
    assert read_metadata("shelf.good")["model"]["name"] == "convae-200"


def test_a_file_that_is_not_the_registered_one_is_refused(shelf):
    save_model(_small(activation="gelu"), shelf / "good.safetensors")
    _told(lambda: load_model("shelf.good"), "shelf.good", "sha256", "reinstall")


@pytest.mark.usefixtures("shelf")
def test_registered_weights_that_are_not_there_are_told():
    _told(lambda: load_model("shelf.gone"), "the weights of shelf.gone", "no such file")
    _told(lambda: load_model("shelf.lost"), "no_such_package", "leads nowhere")


@pytest.mark.usefixtures("shelf")
def test_an_untrained_tag_says_how_to_train():
    _told(
        lambda: load_model("shelf.untrained"),
        "not trained yet",
        "convae-zoo retrain shelf.untrained --out runs/shelf.untrained",
    )


@pytest.mark.usefixtures("shelf")
def test_a_name_without_weights_says_how_to_train():
    _told(
        lambda: load_model("bare"),
        "convae-zoo train bare --dataset photos --out runs/bare",
        "load 'runs/bare'",
        kind=UsageError,
    )


@pytest.mark.usefixtures("shelf")
def test_a_name_without_a_tag_lists_the_trained_weights():
    _told(lambda: load_model("shelf"), "'shelf.good'", "'shelf.gone'", kind=UsageError)


@pytest.mark.usefixtures("shelf")
def test_buffers_constants_and_ties_are_right_after_loading(tmp_path):
    model = zoo.compose("odd", "odd", {"scale": 3.0}, {"odd": (-1.0, 7.0)})
    with torch.no_grad():
        model.encoder.steps += 2**40 + 1
        model.encoder.exact += 1 / 3
        model.encoder.mask[1] = True
        model.encoder.norm.running_mean += 0.5
    model.eval()
    for dtype in ("fp32", "bf16"):
        path = tmp_path / dtype
        save_model(model, path, dtype=dtype)
        loaded = load_model(path)
        part = loaded.encoder
        assert part.steps == 2**40 + 1
        assert part.steps.dtype == torch.int64
        assert part.mask.tolist() == [False, True, False]
        assert part.fixed == 3.0
        assert part.stubborn.scale == 2.0
        assert loaded.decoder.constant.tolist() == [-1.0, 7.0]
        assert part.tied.weight is part.first.weight
        assert not part.frozen.requires_grad
        assert part.exact.dtype == torch.float64
        x = torch.rand(2, 1, 4, 4)
        assert torch.allclose(loaded(x), model(x), rtol=1e-2)
    full = load_model(tmp_path / "fp32")
    mine = model.state_dict()
    assert all(torch.equal(mine[k], v) for k, v in full.state_dict().items())
    assert torch.equal(full.encoder.turned.weight, model.encoder.turned.weight)


@pytest.mark.usefixtures("shelf")
def test_a_state_that_is_no_tensor_is_not_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(Odd, "get_extra_state", lambda _: {"anything": 1})
    model = zoo.compose("odd", "odd")
    _told(lambda: save_model(model, tmp_path / "m"), "must be a dense tensor")


def test_listing_names_with_weights_needs_no_torch():
    code = (
        "import sys, convae_zoo as zoo\n"
        "zoo.list_models(pretrained=True)\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

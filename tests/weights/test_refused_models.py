"""Intact files whose model cannot be built here or does not match are refused in one line."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import convae_zoo as zoo
from convae_zoo.errors import UsageError
from convae_zoo.weights.load import load_model
from memory import forget_peak, resident
from weight_files import SMALL, file_bytes, put_bytes, told


def _put_key(*way: str, value: object) -> Callable[[Any, Any], None]:
    def change(document: Any, _: object) -> None:
        for step in way[:-1]:
            document = document[step]
        document[way[-1]] = value

    return change


def test_the_error_for_a_missing_encoder_names_its_distribution(put):
    def change(document: Any, _: object) -> None:
        document["model"]["encoder"]["name"] = "wavelet"
        document["distributions"][0].update(distribution="convae-wavelet", version="2.1")

    path = put(change)
    told(lambda: load_model(path), "'wavelet'", "pip install convae-wavelet", "2.1")


def test_a_config_that_is_no_longer_valid_is_reported(put):
    config = {**SMALL, "in_channels": 3, "activation": "relu"}
    for odd, part in (({"depth": 3}, "'depth'"), ({"width": 0}, "width must be")):
        path = put(_put_key("model", "encoder", "config", value={**config, **odd}))
        told(lambda path=path: load_model(path), str(path), "config does not fit", part)


@pytest.mark.parametrize("size", [81_012, 2**31, 2**40, 2**70])
def test_a_huge_size_in_the_config_allocates_no_memory(put, size):
    path = put(_put_key("model", "encoder", "config", "width", value=size))
    before = forget_peak()
    told(lambda: load_model(path), str(path))
    assert resident("VmHWM") - before < 2**29


@pytest.mark.parametrize(
    "bad", [[1, 1], [0, 5e-324], [1, -1], [0, 1e300], ["0", "1"], [0], [0, 1, 2], "ab", None, 1]
)
def test_an_invalid_value_range_is_refused(put, bad):
    path = put(_put_key("model", "value_range", value=bad))
    told(lambda: load_model(path), str(path))


def test_a_mismatch_error_names_the_other_plugin_version(put):
    def change(document: Any, _: object) -> None:
        document["distributions"][0]["version"] = "0.0.7"
        document["model"]["encoder"]["config"]["width"] = 4

    path = put(change)
    told(lambda: load_model(path), f"written with convae-zoo 0.0.7, installed is {zoo.__version__}")


def test_a_shape_mismatch_names_the_tensor_and_both_shapes(put):
    def change(_: object, tensors: Any) -> None:
        tensors["encoder.net.2.weight"] = torch.zeros(2, 5, 3, 3)

    path = put(change)
    told(lambda: load_model(path), "'encoder.net.2.weight'", "2×5×3×3", "2×2×3×3")


def test_a_missing_unknown_or_integer_tensor_is_named(put):
    changes: list[tuple[Callable[[Any], object], str]] = [
        (lambda t: t.pop("decoder.linear.0.bias"), "no tensor 'decoder.linear.0.bias'"),
        (lambda t: t.update({"encoder.net.1.weight": torch.ones(1)}), "a tensor 'encoder.net.1.w"),
        (lambda t: t.update({"encoder.net.0.bias": torch.ones(2, dtype=torch.int32)}), "int32"),
    ]
    for change, part in changes:
        path = put(lambda _, tensors, change=change: change(tensors))
        told(lambda path=path: load_model(path), str(path), part)


@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_non_finite_weights_are_named(put, bad):
    def change(_: object, tensors: Any) -> None:
        tensors["encoder.net.13.bias"][1] = bad

    path = put(change)
    told(lambda: load_model(path), "'encoder.net.13.bias'", "NaN or infinity")


def test_a_missing_device_is_reported(tmp_path):
    path = put_bytes(tmp_path, file_bytes())
    told(lambda: load_model(path, device="warp"), "device 'warp'", kind=UsageError)


@pytest.mark.parametrize("value_range", [[0, 5e-324], [1, 1], [1, 0], [-1e300, 1e300], [1e6, 1]])
def test_a_value_range_that_cannot_hold_pixels_is_refused_on_loading(put, value_range):
    path = put(_put_key("model", "value_range", value=value_range))
    told(lambda: load_model(path), str(path), "value_range must be (low, high) with low < high")

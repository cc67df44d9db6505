"""Errors: one line, with the nearest known names, and an exit status."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convae_zoo import errors
from convae_zoo.errors import (
    DeviceError,
    UsageError,
    ZooError,
    device_failures,
    nearest,
    unknown,
)

USAGE = {"UsageError", "UnknownNameError", "ConfigError", "ContractError"}
KINDS = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, ZooError)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_call_exits_2_and_failed_work_1(kind):
    assert kind.exit_status == (2 if kind.__name__ in USAGE else 1)


def test_close_names_are_suggested_the_closest_first():
    assert nearest("convea", ["mse", "convae-200", "convae"]) == (
        "did you mean 'convae' or 'convae-200'?"
    )


def test_where_none_is_close_the_known_ones_are_listed():
    assert nearest("zzz", {"mse", "l1"}) == "known: l1, mse."


def test_a_long_list_is_cut_and_says_where_the_rest_is():
    names = [f"a{i}" for i in range(30)]
    assert nearest("zzz", names).endswith("a18, a19, and 18 more.")
    assert nearest("zzz", names, "; see there").endswith("and 18 more; see there.")


def test_a_name_is_suggested_once_and_only_if_it_is_close():
    assert nearest("losse", ["losses", "losses", "poisson", "mse"]) == "did you mean 'losses'?"
    assert nearest("enc", ["encoders", "decoders"]) == "did you mean 'encoders'?"
    assert nearest("nope", ["unet", "jpeg"]) == "known: jpeg, unet."


def test_without_known_names_the_message_says_so():
    assert str(unknown("loss", "mse", [])) == "unknown loss 'mse'; there are none."


@given(st.text(), st.sets(st.text("abc-12", min_size=1)))
def test_the_message_is_one_line_whatever_the_name(name, known):
    assert len(str(unknown("model", name, known)).splitlines()) == 1


@given(st.sampled_from(["convae-200", "charbonnier", "fashion-mnist"]), st.data())
def test_a_name_with_one_letter_left_out_finds_its_own(name, data):
    at = data.draw(st.integers(0, len(name) - 1))
    typo = name[:at] + name[at + 1 :]
    message = str(unknown("name", typo, ["convae-200", "charbonnier", "fashion-mnist", "mse"]))
    assert f"did you mean {name!r}" in message


def test_a_message_is_one_line_with_its_control_characters_escaped():
    assert str(UsageError("a\nb\x1b[31m\n")) == "a b\\x1b[31m"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "training ran out of memory; use smaller batches (MemoryError)"),
        (
            RuntimeError("CUDA error: device-side assert triggered\nCompile with ..."),
            "training failed on the device: RuntimeError: CUDA error: device-side assert",
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "training failed on the"),
        (
            NotImplementedError("\"erfinv_vml_cpu\" not implemented for 'ComplexHalf'"),
            "training needs an operation that this device or dtype lacks; use float32",
        ),
    ],
)
def test_a_failure_of_memory_or_device_is_one_line_that_names_the_work(error, message):
    with pytest.raises(DeviceError) as caught, device_failures("training"):
        raise error
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error


def test_torch_running_out_of_memory_on_a_cpu_is_told_by_its_message():
    with pytest.raises(DeviceError, match="ran out of memory"), device_failures("training"):
        torch.empty(2**60, dtype=torch.uint8)


@pytest.mark.parametrize(
    "error",
    [
        UsageError("allocate less"),
        KeyboardInterrupt(),
        RuntimeError("sizes differ"),
        RuntimeError("allocate the buffer first"),
    ],
)
def test_any_other_exception_is_no_failure_of_the_device(error):
    with pytest.raises(type(error)) as caught, device_failures("training"):
        raise error
    assert caught.value is error

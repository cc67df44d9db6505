"""Tensors and one JSON document in a safetensors file, under one digest."""

import json
import math
import mmap

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import torch as safetensors

from convae_zoo.errors import WeightsError
from convae_zoo.weights.file_format import pack, unpack

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@settings(deadline=None)
@given(
    document=st.dictionaries(st.text(max_size=5), JSON, max_size=4),
    contents=st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=6),
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 3), max_size=3)),
        max_size=4,
    ),
)
def test_any_document_and_tensors_come_back(document, contents):
    contents.pop("__metadata__", None)
    tensors = {
        name: torch.arange(math.prod(shape)).reshape(shape).to(dtype)
        for name, (dtype, shape) in contents.items()
    }
    data = b"".join(pack(document, tensors))
    read, back = unpack(data, "it")
    assert read.pop("format_version") == 1
    assert len(read.pop("sha256")) == 64
    assert read == {k: v for k, v in document.items() if k not in {"format_version", "sha256"}}
    assert back.keys() == tensors.keys()
    for name, value in tensors.items():
        assert back[name].dtype == value.dtype
        assert torch.equal(back[name], value)
    assert safetensors.load(data).keys() == tensors.keys()


def test_a_document_that_was_read_can_be_written_again():
    data = b"".join(pack({"a": 1}, {"x": torch.ones(1)}))
    assert b"".join(pack(*unpack(data, "it"))) == data


def test_tensors_of_a_mapped_file_share_its_memory(tmp_path):
    (tmp_path / "x").write_bytes(b"".join(pack({}, {"x": torch.ones(3), "y": torch.ones(0)})))
    with (tmp_path / "x").open("rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    tensors = unpack(mapped, "it")[1]
    assert tensors["x"].data_ptr() == np.frombuffer(mapped, np.uint8)[-12:].ctypes.data
    assert tensors["y"].shape == (0,)


def test_metadata_too_large_for_a_header_is_not_written():
    with pytest.raises(WeightsError, match="metadata takes"):
        pack({"extra": "x" * 2**24}, {"x": torch.ones(1)})


def test_key_order_does_not_change_the_bytes():
    one, two = torch.ones(2), torch.zeros(3)
    first = b"".join(pack({"a": 1, "b": {"c": 2, "d": 3}}, {"x": one, "y": two}))
    second = b"".join(pack({"b": {"d": 3, "c": 2}, "a": 1}, {"y": two, "x": one}))
    assert first == second


def test_the_tensors_start_at_a_multiple_of_eight():
    for name in ("x", "xx", "xxx", "xxxx"):
        header, _ = pack({}, {name: torch.ones(1)})
        assert len(header) % 8 == 0


def test_a_file_rewritten_by_another_program_still_verifies():
    """Other key order and padding in the header; only the content counts."""
    data = b"".join(pack({"a": [1.5, "ü"]}, {"x": torch.ones(2), "y": torch.zeros(3)}))
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(dict(reversed(json.loads(data[8:end]).items())), indent=1).encode()
    again = len(header).to_bytes(8, "little") + header + data[end:]
    assert unpack(again, "it")[0] == unpack(data, "it")[0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (torch.zeros(2, 3), torch.zeros(3, 2)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.int32)),
        (torch.zeros(1), -torch.zeros(1)),
    ],
)
def test_the_digest_covers_shape_dtype_and_every_bit(first, second):
    digests = {unpack(b"".join(pack({}, {"x": t})), "it")[0]["sha256"] for t in (first, second)}
    assert len(digests) == 2


def test_a_header_longer_than_the_file_is_refused():
    for length in (100, 2**40, 2**64 - 1):
        with pytest.raises(WeightsError, match="cut short or damaged"):
            unpack(length.to_bytes(8, "little") + b"{}", "it")

import contextlib
import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from convae_datasets.idx import read_idx
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@given(array=hnp.arrays(np.uint8, hnp.array_shapes(max_dims=4)), packed=st.booleans())
def test_what_an_idx_file_holds_comes_back(tmp_path_factory, array, packed):
    path = tmp_path_factory.mktemp("idx") / ("a.gz" if packed else "a")
    path.write_bytes(gzip.compress(idx_bytes(array)) if packed else idx_bytes(array))
    assert np.array_equal(read_idx(path), array)


WHOLE = idx_bytes(np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a", b"", "no idx file"),
        ("a", b"\0\0\x08", "no idx file"),
        ("a", b"text, not numbers", "no idx file"),
        ("a", b"\0\0\x0d\x01\0\0\0\0", "no idx file"),
        ("a", b"\0\0\x08\0", "no idx file"),
        ("a", WHOLE[:6], "cut short or altered"),
        ("a", WHOLE[:-1], r"cut short or altered: its header says \(2, 3\), 5 bytes follow"),
        ("a", WHOLE + b"\0", "cut short or altered"),
        ("a.gz", WHOLE, "no whole gzip file"),
        ("a.gz", gzip.compress(WHOLE, mtime=0)[:-9], "no whole gzip file"),
    ],
)
def test_other_and_damaged_files_are_refused(tmp_path: Path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_idx(tmp_path / name)


@given(cut=st.binary(max_size=60))
def test_random_bytes_are_refused_or_read_but_never_crash(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("idx") / "a"
    path.write_bytes(cut)
    with contextlib.suppress(ValueError):
        assert read_idx(path).dtype == np.uint8

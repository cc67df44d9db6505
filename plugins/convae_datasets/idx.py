"""Files of MNIST's idx format: a header and unsigned bytes."""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

_UNSIGNED_BYTES = 0x08
_FIXED = 4


def read_idx(path: Path) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Read an idx file of unsigned bytes, gzipped where its name ends in ``.gz``.

    Raises:
        ValueError: the file is no such file, or it is cut short.
        OSError: the file cannot be read.
    """
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path.name} is no whole gzip file ({error})") from error
    if len(data) < _FIXED or data[:2] != b"\0\0" or data[2] != _UNSIGNED_BYTES or data[3] == 0:
        raise ValueError(f"{path.name} is no idx file of unsigned bytes")
    start = _FIXED + 4 * data[3]
    shape = struct.unpack(f">{data[3]}I", data[_FIXED:start]) if len(data) >= start else ()
    if not shape or len(data) - start != math.prod(shape):
        raise ValueError(
            f"{path.name} is cut short or altered: its header says {shape}, "
            f"{max(0, len(data) - start)} bytes follow"
        )
    return np.frombuffer(bytearray(data), np.uint8, offset=start).reshape(shape)

"""The limits of the hardware: matrix products and memory, measured.

A limit is the best of all its measurements. It is measured when it is first needed, and again when
a time is found that would be above it: other work may have disturbed the first measurement.
"""

from collections.abc import Callable
from functools import partial

import attrs
import torch
from torch import Tensor

from convae_zoo.bench.timing import time_interleaved

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_SIZES = {"cpu": (512, 768, 1024, 2048), "cuda": (4096, 8192)}
_REFERENCES = {"cpu": 768, "cuda": 4096}
_SECONDS = 0.3
_MOST_BITS = 29  # larger copies are no faster, and might not fit in memory
_ATTEMPTS = 3

_best: dict[tuple[str, str | int], float] = {}
"""The limits by device and by precision, in GFLOP/s, or size, in GB/s."""


@attrs.frozen(kw_only=True)
class Work:
    """What a call has to do at least.

    Attributes:
        gflop: multiplications and additions, in 10⁹.
        bytes: bytes that are read or written: inputs, weights and outputs, each once.
    """

    gflop: float
    bytes: float


def matmul_peak(kind: str, precision: str, *, again: bool = False) -> float:
    """Return the GFLOP/s of a matrix product: the best of several sizes and rounds.

    Args:
        kind: of the device.
        precision: a key of `DTYPES`.
        again: measure again, and keep the better.
    """
    device, key = torch.device(kind), (kind, precision)
    if again or key not in _best:
        for size in _SIZES[device.type]:
            a, b = (torch.randn(size, size, device=device).to(DTYPES[precision]) for _ in range(2))
            _keep_best(key, 2 * size**3 / _fastest(partial(torch.mm, a, b), device) / 1e9)
    return _best[key]


def reference(kind: str, precision: str) -> Callable[[], Tensor]:
    """Return a matrix product by which runs of a machine whose speed changes can be compared.

    Args:
        kind: of the device.
        precision: a key of `DTYPES`.
    """
    device, size = torch.device(kind), _REFERENCES[torch.device(kind).type]
    a, b = (torch.randn(size, size, device=device).to(DTYPES[precision]) for _ in range(2))
    return partial(torch.mm, a, b)


def memory_rate(kind: str, size: float, *, again: bool = False) -> float:
    """Return the GB/s of reading, or of copying, as many bytes as some work moves, at most 512 MiB.

    What fits in a cache is moved at the speed of the cache. Of `size` rounded up and down to a
    power of two the better is returned.

    Args:
        kind: of the device.
        size: in bytes.
        again: measure again, and keep the better.
    """
    device, bits = torch.device(kind), min(max(16, int(size).bit_length()), _MOST_BITS)
    key = (kind, bits)
    if again or key not in _best:
        for total in (2**bits, 2 ** (bits - 1)):
            read = torch.ones(total // 4, device=device)
            target, source = read[::2].clone(), read[1::2].clone()
            repeats = max(1, 2**22 // total)  # one call alone costs microseconds
            for call in (read.sum, partial(target.copy_, source)):
                _keep_best(key, total / _fastest(call, device, repeats) / 1e9)
    return _best[key]


def _fastest(call: Callable[[], Tensor], device: torch.device, repeats: int = 1) -> float:
    def repeated() -> None:
        for _ in range(repeats):
            call()

    return min(time_interleaved({"": repeated}, device, _SECONDS)[""].seconds) / repeats


def _keep_best(key: tuple[str, str | int], rate: float) -> None:
    _best[key] = max(rate, _best.get(key, 0.0))


def settle(work: Work, seconds: float, kind: str, precision: str) -> None:
    """Measure a limit again, up to three times, while a time is above it."""
    for _ in range(_ATTEMPTS):
        found = shares(work, seconds, kind, precision)
        if not found["limit_too_low"]:
            break
        if found["share_of_peak"] >= found["share_of_memory"]:
            matmul_peak(kind, precision, again=True)
        else:
            memory_rate(kind, work.bytes, again=True)


def shares(work: Work, seconds: float, kind: str, precision: str) -> dict[str, float | bool]:
    """Return how near a time is to the limits (the roofline).

    Returns:
        ``matmul_peak`` in GFLOP/s and ``memory_peak`` in GB/s; ``share_of_peak`` and
        ``share_of_memory``, the fractions of them that are reached; ``share_of_limit``, the larger
        one; and ``limit_too_low``, which is true above 1: then the limit was measured wrongly.
    """
    peak, memory = matmul_peak(kind, precision), memory_rate(kind, work.bytes)
    of_peak = work.gflop / peak / seconds
    of_memory = work.bytes / 1e9 / memory / seconds
    share = max(of_peak, of_memory)
    return {
        "gflop_per_second": round(work.gflop / seconds, 2),
        "matmul_peak": round(peak, 1),
        "memory_peak": round(memory, 2),
        "share_of_peak": round(of_peak, 4),
        "share_of_memory": round(of_memory, 4),
        "share_of_limit": round(share, 4),
        "limit_too_low": share > 1,
    }

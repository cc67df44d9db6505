"""The limits of the hardware: matrix products and memory, measured."""

import functools

import attrs
import torch

from convae_zoo.bench.timing import time_interleaved

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_SIZES = {"cpu": (512, 768, 1024, 2048), "cuda": (4096, 8192)}
_SECONDS = 0.5
_MOST_BITS = 30  # larger copies are no faster, and might not fit in memory


@attrs.frozen(kw_only=True)
class Work:
    """What a call has to do at least.

    Attributes:
        gflop: multiplications and additions, in 10⁹.
        bytes: bytes that are read or written: inputs, weights and outputs, each once.
    """

    gflop: float
    bytes: float


@functools.cache
def matmul_peak(kind: str, precision: str) -> float:
    """Measure the GFLOP/s of a matrix product: the best of several sizes and rounds."""
    device = torch.device(kind)
    return max(_matmul_rate(size, device, DTYPES[precision]) for size in _SIZES[device.type])


def _matmul_rate(size: int, device: torch.device, dtype: torch.dtype) -> float:
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    timing = time_interleaved({"product": lambda: a @ b}, device, _SECONDS)["product"]
    return 2 * size**3 / min(timing.seconds) / 1e9


def memory_rate(kind: str, size: float) -> float:
    """Measure the GB/s of copying as many bytes as some work reads and writes, at most 512 MiB.

    What fits in a cache is copied at the speed of the cache.
    """
    return _copy_rate(kind, min(max(16, int(size).bit_length()), _MOST_BITS))


@functools.cache
def _copy_rate(kind: str, bits: int) -> float:
    device = torch.device(kind)
    source = torch.ones(2 ** (bits - 1), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    repeats = max(1, 2**22 >> bits)  # one call alone costs microseconds

    def copy() -> None:
        for _ in range(repeats):
            target.copy_(source)

    timing = time_interleaved({"copy": copy}, device, _SECONDS / 2)["copy"]
    return 2 * len(source) * repeats / min(timing.seconds) / 1e9


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

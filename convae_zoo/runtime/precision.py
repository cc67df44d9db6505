"""The precisions of a model's arithmetic, and the faster one, by measuring it."""

import functools
import itertools
import time
from typing import cast

import attrs
import torch
from torch import nn

from convae_zoo.errors import ConfigError
from convae_zoo.registry import fields
from convae_zoo.registry.specs import Recipe
from convae_zoo.runtime.modes import default_modes, threads

PRECISIONS: tuple[str, ...] = cast(
    "fields.Choices", fields.domain_of(attrs.fields(Recipe).precision)
).options
"""Those that a recipe may have: ``auto``, ``fp32`` and ``bf16``."""

MARGIN = 1.25
"""How much faster bf16 must be to be chosen: below that, noise would decide."""

_BATCH, _CHANNELS, _SIZE, _REPEATS = 16, 32, 16, 7


def choose_precision(name: str, device: torch.device) -> str:
    """Return ``fp32`` or ``bf16``; ``auto`` is the faster one on this device.

    Raises:
        ConfigError: it is none of `PRECISIONS`.
    """
    if name not in PRECISIONS:
        raise ConfigError(f"precision must be one of {', '.join(PRECISIONS)}, got {name!r}")
    if name != "auto":
        return name
    return "bf16" if bf16_is_faster(device) else "fp32"


@functools.cache
def bf16_is_faster(device: torch.device) -> bool:
    """Tell whether a convolution, forward and backward, is faster in bf16 than in fp32.

    Measured once per process, in a fraction of a second: the fastest of several interleaved
    repeats. On a CPU it is the processor time of one thread, because threads that wait for each
    other beside other work take as long in either precision.
    """
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return False
    with torch.random.fork_rng(), default_modes(), threads(1):
        layer = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1, device=device)
        layer = layer.to(memory_format=torch.channels_last)
        shape = (_BATCH, _CHANNELS, _SIZE, _SIZE)
        x = torch.zeros(shape, device=device).to(memory_format=torch.channels_last)
        x.requires_grad_()
        best = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
        for _, dtype in itertools.product(range(_REPEATS), best):
            best[dtype] = min(best[dtype], _seconds(layer, x, dtype))
    return best[torch.float32] > MARGIN * best[torch.bfloat16]


def _seconds(layer: nn.Module, x: torch.Tensor, dtype: torch.dtype) -> float:
    clock = time.perf_counter if x.is_cuda else time.thread_time
    _wait(x.device)
    started = clock()
    with torch.autocast(x.device.type, dtype=dtype, enabled=dtype != torch.float32):
        y = layer(x)
    y.sum().backward()  # with a gradient given, PyTorch would import sympy
    _wait(x.device)
    return clock() - started


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

"""The core: each convolution of the article's network, forward and backward separately."""

import functools
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.conftest import Report
from convae_zoo.bench.limits import DTYPES, reference
from convae_zoo.bench.timing import CLOCK, Timing, count_gflop, time_interleaved
from convae_zoo.layers import ConvTranspose2d

BATCH = 64
LAYOUTS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
# inputs, outputs, size of the input, stride
CONV = [(3, 16, 32, 1), (16, 16, 32, 1), (16, 32, 32, 2), (32, 32, 16, 1), (32, 64, 16, 2)]
CONV += [(64, 64, 8, 1)]
TRANSPOSED = [(64, 64, 8, 1), (64, 32, 8, 2), (32, 32, 16, 1), (32, 16, 16, 2), (16, 16, 32, 1)]
TRANSPOSED += [(16, 3, 32, 1)]
FIRST = CONV[0]
"""The layer whose input is the images, which need no gradient."""

Shape = tuple[int, int, int, int]


def shape_name(shape: Shape) -> str:
    """Name a shape: ``16-3x32s1``."""
    inputs, outputs, size, stride = shape
    return f"{inputs}-{outputs}x{size}s{stride}"


def _layers(kind: str, shape: Shape) -> dict[str, nn.Module]:
    inputs, outputs, _, stride = shape
    if kind == "conv":
        return {"pytorch": nn.Conv2d(inputs, outputs, 3, stride, 1)}
    more: dict[str, Any] = {"padding": 1, "stride": stride, "output_padding": stride - 1}
    return {
        "pytorch": nn.ConvTranspose2d(inputs, outputs, 3, **more),
        "ours": ConvTranspose2d(inputs, outputs, 3, **more),
    }


@functools.cache
def measure(
    kind: str, shape: Shape, layout: str, precision: str, device: torch.device, seconds: float
) -> dict[str, tuple[dict[str, Timing], float]]:
    """Time forward and backward of a layer, ours and PyTorch's interleaved; with the GFLOP."""
    calls: dict[str, dict[str, Any]] = {"forward": {}, "backward": {}}
    for who, layer in _layers(kind, shape).items():
        form = {"dtype": DTYPES[precision], "memory_format": LAYOUTS[layout]}
        layer.to(device, **form)
        x = torch.randn(BATCH, shape[0], shape[2], shape[2], device=device).to(**form)
        x.requires_grad_(not (kind == "conv" and shape == FIRST))
        y = layer(x)
        wanted = [t for t in (x, *layer.parameters()) if t.requires_grad]
        backward = functools.partial(
            torch.autograd.grad, y, wanted, torch.ones_like(y), retain_graph=True
        )
        calls["forward"][who] = functools.partial(layer, x)
        calls["backward"][who] = backward
    beside = reference(device.type, precision)
    return {
        name: (time_interleaved(work, device, seconds, beside), count_gflop(work["pytorch"]))
        for name, work in calls.items()
    }


@pytest.mark.benchmark(group="core", timer=CLOCK)
@pytest.mark.parametrize("who", ["pytorch", "ours"])
@pytest.mark.parametrize("way", ["forward", "backward"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("shape", TRANSPOSED, ids=shape_name)
def test_transposed(
    shape: Shape,
    precision: str,
    layout: str,
    way: str,
    who: str,
    device: torch.device,
    budget: float,
    report: Report,
) -> None:
    """A transposed convolution of the decoder: PyTorch's and ours."""
    timings, gflop = measure("transposed", shape, layout, precision, device, budget)[way]
    report(timings[who], device, images=BATCH, gflop=gflop, precision=precision, who=who)


@pytest.mark.benchmark(group="core", timer=CLOCK)
@pytest.mark.parametrize("way", ["forward", "backward"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("shape", CONV, ids=shape_name)
def test_conv(
    shape: Shape,
    precision: str,
    layout: str,
    way: str,
    device: torch.device,
    budget: float,
    report: Report,
) -> None:
    """A convolution of the encoder, which is PyTorch's own."""
    timings, gflop = measure("conv", shape, layout, precision, device, budget)[way]
    report(
        timings["pytorch"], device, images=BATCH, gflop=gflop, precision=precision, who="pytorch"
    )

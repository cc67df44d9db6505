"""What is benchmarked: a convolution of any shape, or a model, forward and backward."""

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from convae_zoo.bench.limits import DTYPES, Work
from convae_zoo.bench.timing import count_gflop
from convae_zoo.errors import ConfigError
from convae_zoo.layers import ConvTranspose2d
from convae_zoo.models.autoencoder import Autoencoder

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
WAYS = ("forward", "backward")

Call = Callable[[], object]


@attrs.frozen(kw_only=True)
class Case:
    """Calls to be timed together, and what each has to do.

    Attributes:
        name: what is benchmarked, without the candidate.
        group: ``core`` or ``models``.
        precision: ``fp32`` or ``bf16``.
        images: per call.
        work: what a call has to do at least.
        calls: by candidate: ``ours`` and ``pytorch``.
    """

    name: str
    group: str
    precision: str
    images: int
    work: Work
    calls: dict[str, Call]


@attrs.frozen(kw_only=True)
class Conv:
    """A convolution.

    Attributes:
        in_channels: of the input.
        out_channels: of the output.
        size: height and width of the input.
        kernel: height and width of the kernel; the padding is half of it.
        stride: of both dimensions.
        transposed: whether it is a transposed convolution.
    """

    in_channels: int
    out_channels: int
    size: tuple[int, int]
    kernel: int = 3
    stride: int = 1
    transposed: bool = False

    @property
    def name(self) -> str:
        """Describe it: ``transposed 128-128x64x64k3s2``."""
        kind = "transposed" if self.transposed else "conv"
        height, width = self.size
        channels = f"{self.in_channels}-{self.out_channels}"
        return f"{kind} {channels}x{height}x{width}k{self.kernel}s{self.stride}"

    def layers(self) -> dict[str, nn.Module]:
        """Build PyTorch's layer and, of a transposed convolution, ours."""
        channels = (self.in_channels, self.out_channels, self.kernel)
        settings: dict[str, Any] = {"stride": self.stride, "padding": self.kernel // 2}
        if not self.transposed:
            return {"pytorch": nn.Conv2d(*channels, **settings)}
        settings["output_padding"] = self.stride - 1
        return {
            "pytorch": nn.ConvTranspose2d(*channels, **settings),
            "ours": ConvTranspose2d(*channels, **settings),
        }


def conv_cases(conv: Conv, batch: int, device: torch.device) -> Iterator[Case]:
    """Yield a convolution in both precisions and layouts, forward and backward.

    Raises:
        ConfigError: the output would be empty, or PyTorch refuses the shape.
    """
    shape = (batch, conv.in_channels, *conv.size)
    plain = conv.layers()["pytorch"].to(device)
    example = torch.randn(1, *shape[1:], device=device, requires_grad=True)
    try:
        gflop = {way: batch * count_gflop(call) for way, call in _ways(plain, example).items()}
    except RuntimeError as error:
        raise ConfigError(f"{conv.name}: {error}") from error
    for precision, dtype in DTYPES.items():
        for layout, memory_format in LAYOUTS.items():
            form: dict[str, Any] = {"dtype": dtype, "memory_format": memory_format}
            x = torch.randn(shape, device=device).to(**form).requires_grad_()
            layers = {who: layer.to(device, **form) for who, layer in conv.layers().items()}
            calls = {who: _ways(layer, x) for who, layer in layers.items()}
            moved = _bytes(x, plain(example).numel() * batch * x.itemsize, layers["pytorch"])
            for way in WAYS:
                # Backward reads the output's gradient too, and writes a gradient of each input.
                work = Work(gflop=gflop[way], bytes=moved if way == "forward" else 2 * moved)
                yield Case(
                    name=f"{conv.name} batch {batch} {precision} {layout} {way}",
                    group="core",
                    precision=precision,
                    images=batch,
                    work=work,
                    calls={who: ways[way] for who, ways in calls.items()},
                )


def model_cases(model: Autoencoder, batch: int, device: torch.device) -> Iterator[Case]:
    """Yield a model in both precisions and layouts, forward and backward; each has its own copy."""
    model = model.to(device).eval()
    example = torch.randn(1, *model.image_shape, device=device)
    gflop = {way: batch * count_gflop(call) for way, call in _ways(model, example).items()}
    for precision, dtype in DTYPES.items():
        for layout, memory_format in LAYOUTS.items():
            x = torch.randn(batch, *model.image_shape, device=device).to(
                memory_format=memory_format
            )
            laid_out = copy.deepcopy(model).to(memory_format=memory_format)
            moved = _bytes(x, x.nbytes, model) * dtype.itemsize / 4
            with torch.autocast(device.type, dtype=dtype, enabled=precision == "bf16"):
                ways = _ways(laid_out, x)
            for way in WAYS:
                call = torch.autocast(device.type, dtype=dtype, enabled=precision == "bf16")(
                    ways[way]
                )
                yield Case(
                    name=f"{model.name} batch {batch} {precision} {layout} {way}",
                    group="models",
                    precision=precision,
                    images=batch,
                    work=Work(gflop=gflop[way], bytes=moved if way == "forward" else 2 * moved),
                    calls={"ours": call},
                )


def _ways(module: nn.Module, x: Tensor) -> dict[str, Call]:
    y = module(x)
    wanted = [t for t in (x, *module.parameters()) if t.requires_grad]
    # A part that samples or looks up a codebook may not depend on every parameter.
    backward = functools.partial(
        torch.autograd.grad, y, wanted, torch.ones_like(y), retain_graph=True, allow_unused=True
    )
    return {"forward": functools.partial(module, x), "backward": backward}


def _bytes(x: Tensor, output: float, module: nn.Module) -> float:
    return x.nbytes + output + sum(p.nbytes for p in module.parameters())

"""A frozen layer with packed weights, and what follows it, as one oneDNN operator; CPU only.

They are the operators that `torch.compile` calls, without its minute of compiling.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from convae_zoo.layers.conv_transpose import FEW_CHANNELS, NEIGHBOURS, line_up, widen

Kernel: TypeAlias = Callable[..., Tensor]
"""Maps the input of a layer, and what is added to its output, to that output."""

Pair: TypeAlias = tuple[int, int]


@attrs.frozen(kw_only=True, eq=False)
class Layer:
    """A linear layer, a convolution of images or a transposed one.

    Attributes:
        kind: which of them.
        weight: as PyTorch's function of that kind takes it.
        bias: the same.
        padding: of a convolution, and so are the others.
    """

    kind: Literal["linear", "convolution", "transposed"]
    weight: Tensor
    bias: Tensor | None = None
    padding: Pair = (0, 0)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    output_padding: Pair = (0, 0)
    groups: int = 1

    def to(self, dtype: torch.dtype) -> "Layer":
        """Return the layer with weights of a dtype."""
        bias = None if self.bias is None else self.bias.to(dtype)
        return attrs.evolve(self, weight=self.weight.to(dtype), bias=bias)

    def __call__(self, x: Tensor) -> Tensor:
        """Map a batch by PyTorch's function."""
        more: tuple[Any, ...] = (self.stride, self.padding)
        if self.kind == "linear":
            return functional.linear(x, self.weight, self.bias)
        if self.kind == "convolution":
            more += (self.dilation, self.groups)
            return functional.conv2d(x, self.weight, self.bias, *more)
        more += (self.output_padding, self.groups, self.dilation)
        return functional.conv_transpose2d(x, self.weight, self.bias, *more)


@attrs.frozen
class Activation:
    """An activation as oneDNN names it, with its numbers and the name of its formula."""

    name: str = "none"
    numbers: tuple[float, ...] = ()
    formula: str = ""

    @property
    def arguments(self) -> tuple[str, list[float], str]:
        """What an operator takes."""
        return self.name, list(self.numbers), self.formula


NO_ACTIVATION = Activation()
RELU = Activation("relu")


def is_available() -> bool:
    """Return whether PyTorch was built with oneDNN, and oneDNN is enabled."""
    return bool(torch.backends.mkldnn.enabled and torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]  # torch leaves it untyped


def has_bf16() -> bool:
    """Return whether oneDNN computes in bfloat16 on this processor."""
    try:
        return is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - not public
    except AttributeError:
        return False


def is_worth_packing(layer: Layer, x: Tensor) -> bool:
    """Return whether a packed layer is faster: MKL multiplies one float32 vector faster."""
    return not (layer.kind == "linear" and len(x) == 1 and x.dtype == torch.float32)


def pack(layer: Layer, x: Tensor, activation: Activation = NO_ACTIVATION) -> Kernel:
    """Pack the weights of a layer for batches like `x`; other batch sizes work as well.

    Args:
        layer: on the CPU, float32 or bfloat16.
        x: N×C×H×W in channels_last, or N×D, of the weights' dtype.
        activation: applied to the output.

    Raises:
        AttributeError: this version of PyTorch has no such operator.
        RuntimeError: the operator does not take this input.
    """
    if layer.kind == "linear":
        return _linear(layer, x, activation)
    if layer.kind == "convolution":
        return _convolution(layer, x, activation)
    around = _around(layer)
    if around is not None:
        return _as_convolution(layer, around, x, activation)
    ops, bias, after = torch.ops.mkldnn, layer.bias, activation.arguments
    padding, *more = _geometry(layer)
    geometry = (padding, list(layer.output_padding), *more)
    packed = ops._reorder_convolution_transpose_weight(layer.weight, *geometry, list(x.shape))  # noqa: SLF001 - not public
    compute = ops._convolution_transpose_pointwise.default  # noqa: SLF001

    def transposed(x: Tensor) -> Tensor:
        output: Tensor = compute(x, packed, bias, *geometry, *after)
        return output

    return transposed


def pack_with_addition(layer: Layer, x: Tensor, activation: Activation = NO_ACTIVATION) -> Kernel:
    """Pack a layer whose kernel takes a second tensor, and adds it to the output.

    The second tensor has the output's shape, dtype and layout.

    Args:
        layer: as `pack` takes it, but no transposed convolution.
        x: as `pack` takes it.
        activation: of the sum: `RELU` of a convolution's, or none.

    Raises:
        AttributeError: as `pack` raises it.
        RuntimeError: the same.
    """
    ops, bias = torch.ops.mkldnn, layer.bias
    if layer.kind == "linear":
        matrix = ops._reorder_linear_weight(layer.weight, len(x))  # noqa: SLF001
        multiply = ops._linear_pointwise.binary  # noqa: SLF001

        def linear_and_add(x: Tensor, other: Tensor) -> Tensor:
            output: Tensor = multiply(x, other, matrix, bias, "add")
            return output

        return linear_and_add
    geometry = _geometry(layer)
    packed = ops._reorder_convolution_weight(layer.weight, *geometry, list(x.shape))  # noqa: SLF001
    compute = ops._convolution_pointwise.binary  # noqa: SLF001
    after = (None, [], None) if activation == NO_ACTIVATION else activation.arguments

    def convolve_and_add(x: Tensor, other: Tensor) -> Tensor:
        output: Tensor = compute(x, other, packed, bias, *geometry, "add", None, *after)
        return output

    return convolve_and_add


def _geometry(layer: Layer) -> tuple[Any, ...]:
    pairs = (layer.padding, layer.stride, layer.dilation)
    return *(list(pair) for pair in pairs), layer.groups


def _linear(layer: Layer, x: Tensor, activation: Activation) -> Kernel:
    ops, bias, after = torch.ops.mkldnn, layer.bias, activation.arguments
    packed = ops._reorder_linear_weight(layer.weight, len(x))  # noqa: SLF001
    compute = ops._linear_pointwise.default  # noqa: SLF001

    def linear(x: Tensor) -> Tensor:
        output: Tensor = compute(x, packed, bias, *after)
        return output

    return linear


def _convolution(layer: Layer, x: Tensor, activation: Activation) -> Kernel:
    ops, bias, after = torch.ops.mkldnn, layer.bias, activation.arguments
    geometry = _geometry(layer)
    packed = ops._reorder_convolution_weight(layer.weight, *geometry, list(x.shape))  # noqa: SLF001
    compute = ops._convolution_pointwise.default  # noqa: SLF001

    def convolve(x: Tensor) -> Tensor:
        output: Tensor = compute(x, packed, bias, *geometry, *after)
        return output

    return convolve


def _around(layer: Layer) -> Pair | None:
    """Return the padding of the convolution that equals a transposed one, if there is one."""
    height, width = (
        d * (k - 1) - p
        for d, k, p in zip(layer.dilation, layer.weight.shape[2:], layer.padding, strict=True)
    )
    is_plain = layer.stride == (1, 1) and layer.output_padding == (0, 0) and layer.groups == 1
    return (height, width) if is_plain and min(height, width) >= 0 else None


def _as_convolution(layer: Layer, around: Pair, x: Tensor, activation: Activation) -> Kernel:
    """Pack a transposed convolution of stride 1 as the equal convolution."""
    weight = layer.weight.flip(2, 3).transpose(0, 1)
    equal = attrs.evolve(layer, kind="convolution", weight=weight, padding=around)
    plain = _convolution(equal, x, activation)
    if len(weight) > FEW_CHANNELS or layer.dilation != (1, 1):
        return plain
    lost = weight.shape[3] - 1 - 2 * around[1]
    bias = None if layer.bias is None else layer.bias.repeat(NEIGHBOURS)
    four = attrs.evolve(equal, weight=widen(weight), bias=bias, stride=(1, NEIGHBOURS))
    wide = _convolution(four, x, activation)

    def few_channels(x: Tensor) -> Tensor:
        return plain(x) if (x.shape[3] - lost) % NEIGHBOURS else line_up(wide(x))

    return few_channels

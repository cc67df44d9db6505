"""An exact drop-in for ``nn.ConvTranspose2d`` that is faster on CPUs.

What is slow in PyTorch 2.15 on a CPU, and what is done here instead (64 images, one thread of an
AVX512-BF16 CPU, forward plus backward in ms):

- The bias gradient of a transposed convolution in channels_last costs more than the rest of its
  backward pass. With stride 1 a transposed convolution is a convolution with the kernel flipped and
  its channels swapped, whose bias gradient costs nothing, and which is faster in the contiguous
  layout as well: 16→16 channels at 32×32 in bf16, 6.6 instead of 10.2 in channels_last, 8.1 instead
  of 27.4 in the contiguous layout; in fp32 10.4 instead of 11.3 in channels_last.
- With stride 2 PyTorch's own forward pass was the fastest of those tried, the sub-pixel form
  among them. Its bias gradient is a plain sum here.
- A convolution fills vectors of 16 output channels, however few there are. Where there are at most
  4 and the width is divisible by 4, four neighbouring pixels are computed as channels of one, with
  a kernel three columns wider: 16→3 at 32×32, 4.0 instead of 4.6 in bf16, 5.6 instead of 6.2 in
  fp32.

In fp32 and the contiguous layout it is PyTorch's own, bit for bit; other forms gained at most 20%
there.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

NEIGHBOURS = 4
"""Pixels of a row that are computed as channels of one, where output channels are few."""

FEW_CHANNELS = 4


class ConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` with the same arguments, parameters, state dict, output and gradients.

    Maps N×C×H×W to N×C'×H'×W', floats. The output agrees with PyTorch's to rounding. In
    float32 and the contiguous layout, off the CPU, without oneDNN, for unbatched input, under
    `torch.func`, and while a graph is traced, compiled or exported, it is PyTorch's own.
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: A002 - as PyTorch names it
        """Map N×C×H×W to N×C'×H'×W'."""
        if not self._is_faster(input, output_size):
            return super().forward(input, output_size)
        around = self.around() if self.is_convolution() else None
        if around is not None and self.out_channels > FEW_CHANNELS:
            if _is_channels_last(input) and not torch.is_grad_enabled():
                return super().forward(input, output_size)  # only the backward pass is slow
            return _convolve(input, self.weight, self.bias, around, self.dilation)
        x, weight, bias = input, self.weight, self.bias
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            x, weight = x.to(dtype), weight.to(dtype)
            bias = bias.to(dtype) if bias is not None else None
        geometry: tuple[Any, ...] = (
            self.stride,
            self.padding,
            self.dilation,
            self.output_padding,
            self.groups,
        )
        if not torch.is_grad_enabled():
            return _conv_transpose(x, weight, bias, around, *geometry)
        output: Tensor = _ConvTranspose.apply(x, weight, bias, around, *geometry)
        return output

    def _is_faster(self, x: Tensor, output_size: list[int] | None) -> bool:
        if not isinstance(x, Tensor):  # a proxy of torch.fx
            return False
        if torch.jit.is_tracing() or torch.compiler.is_compiling():  # type: ignore[attr-defined,no-untyped-call]  # torch leaves it untyped
            return False
        if torch._C._are_functorch_transforms_active():  # noqa: SLF001 - there is no public way to ask
            return False
        return (
            x.device.type == "cpu"
            and x.ndim == 4  # noqa: PLR2004 - N×C×H×W
            and x.shape[1] == self.in_channels
            and x.numel() > 0
            and output_size is None
            and self.padding_mode == "zeros"
            and bool(torch.backends.mkldnn.enabled)
            and (x.dtype == self.weight.dtype or torch.is_autocast_enabled("cpu"))
            and not self._is_plain(x)
        )

    def _is_plain(self, x: Tensor) -> bool:
        """Say whether PyTorch's own is computed, bit for bit: contiguous float32."""
        is_fp32 = x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        return is_fp32 and not _is_channels_last(x)

    def is_convolution(self) -> bool:
        """Say whether it is a convolution with another kernel."""
        return (
            set(self.stride) == {1}
            and set(self.output_padding) == {0}
            and self.groups == 1
            and min(self.around()) >= 0
        )

    def around(self) -> list[int]:
        """Return the padding of that convolution."""
        sides = zip(
            self.dilation, self.kernel_size, cast("tuple[int, ...]", self.padding), strict=True
        )
        return [d * (k - 1) - p for d, k, p in sides]


def _is_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    around: list[int],
    dilation: tuple[int, ...],
) -> Tensor:
    """Compute a transposed convolution of stride 1 as the equal convolution."""
    return functional.conv2d(x, weight.flip(2, 3).transpose(0, 1), bias, 1, around, dilation)


def _conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    around: list[int] | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    output_padding: tuple[int, ...],
    groups: int,
) -> Tensor:
    """Compute the output; `around` is the padding of the equal convolution, if one exists."""
    if around is None:
        return functional.conv_transpose2d(
            x, weight, bias, stride, padding, output_padding, groups, dilation
        )
    if pays_to_widen(x, weight, around, dilation):
        return few_channels(x, weight.flip(2, 3).transpose(0, 1), bias, around)
    return _convolve(x, weight, bias, around, dilation)


def pays_to_widen(x: Tensor, weight: Tensor, around: list[int], dilation: tuple[int, ...]) -> bool:
    """Say whether computing four neighbours as one is possible, and faster."""
    width = x.shape[3] + 2 * around[1] - dilation[1] * (weight.shape[3] - 1)
    return (
        weight.shape[1] <= FEW_CHANNELS
        and set(dilation) == {1}
        and width % NEIGHBOURS == 0
        and _is_channels_last(x)
    )


class _ConvTranspose(torch.autograd.Function):
    """The transposed convolution, with the bias gradient as a separate sum."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        around: list[int] | None,
        *geometry: Any,
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias, ctx.geometry = bias is not None, geometry
        return _conv_transpose(x, weight, bias, around, *geometry)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        stride, padding, dilation, output_padding, groups = ctx.geometry
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        for_x = for_weight = for_bias = None
        if needs_x or needs_weight:
            for_x, for_weight, _ = torch.ops.aten.convolution_backward(
                gradient,
                x,
                weight,
                None,
                stride,
                padding,
                dilation,
                True,  # noqa: FBT003 - transposed
                output_padding,
                groups,
                [needs_x, needs_weight, False],
            )
        if needs_bias and ctx.has_bias:
            for_bias = gradient.sum((0, 2, 3))
        return for_x, for_weight, for_bias, *[None] * 6


def few_channels(x: Tensor, weight: Tensor, bias: Tensor | None, padding: list[int]) -> Tensor:
    """Convolve channels_last images with stride 1, four neighbouring pixels at once."""
    wide = widen(weight).contiguous(memory_format=torch.channels_last)
    repeated = bias.repeat(NEIGHBOURS) if bias is not None else None
    return line_up(functional.conv2d(x, wide, repeated, (1, NEIGHBOURS), padding))


def widen(weight: Tensor) -> Tensor:
    """Return the kernel that computes four neighbouring pixels as channels of one.

    Args:
        weight: of a convolution of stride 1, C'×C×K×L.

    Returns:
        4C'×C×K×(L+3), for a convolution with a stride of 1 down and 4 across.
    """
    channels, inputs, height, width = weight.shape
    wide = weight.new_zeros(NEIGHBOURS, channels, inputs, height, width + NEIGHBOURS - 1)
    for shift in range(NEIGHBOURS):
        wide[shift, ..., shift : shift + width] = weight
    return wide.flatten(0, 1)


def line_up(y: Tensor) -> Tensor:
    """Move the neighbours from the channels into the row: N×4C×H×W to N×C×H×4W."""
    images, channels, rows, columns = y.shape
    shape = (images, rows, columns * NEIGHBOURS, channels // NEIGHBOURS)
    return y.permute(0, 2, 3, 1).reshape(shape).permute(0, 3, 1, 2)

"""A layer and the ReLU that may follow it, forward and backward in bfloat16 on a CPU.

They call the oneDNN operators that `torch.compile` calls. These have no gradient of their own;
`convae_zoo.layers.chain` gives them one. Their ReLU turns NaN into 0. A run that diverges is found
by its loss, and by the validation loss, which PyTorch's own layers compute.
"""

import functools
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from convae_zoo.layers.conv_transpose import ConvTranspose2d, few_channels, pays_to_widen

Layer: TypeAlias = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
Gradients: TypeAlias = tuple[Tensor | None, Tensor | None, Tensor | None]
"""Of the input, the weight and the bias; None where it is not needed."""

_TYPES = {nn.Conv2d, nn.ConvTranspose2d, ConvTranspose2d, nn.Linear}


class Link:
    """A layer and whether a ReLU follows it.

    Weights are passed to each call, because the layer's own may be float32. Convolutions take
    N×C×H×W in channels_last, linear layers N×D.
    """

    def __init__(self, layer: Layer, *, relu: bool) -> None:
        self.layer = layer
        self.relu = relu
        self._after: tuple[Any, ...] = ("relu" if relu else "none", [], "")

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute the output in one kernel."""
        raise NotImplementedError

    def gradients(self, g: Tensor, x: Tensor, weight: Tensor, needs: Sequence[bool]) -> Gradients:
        """Compute the gradients from `g`, that of the output, masked by the ReLU."""
        raise NotImplementedError

    def differentiable(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute the output by PyTorch's own functions, which have gradients of any order."""
        raise NotImplementedError

    def mask(self, g: Tensor, y: Tensor) -> Tensor:
        """Set the gradient of the output to zero where the ReLU did.

        A bfloat16 is positive where its bits are a positive integer. Compared as integers, the
        values need no conversion to float32 and back, which takes twice as long.
        """
        masked: Tensor = torch.ops.aten.threshold_backward.default(
            g.view(torch.int16), y.view(torch.int16), 0
        )
        return masked.view(torch.bfloat16)


def _convolution_gradients(
    g: Tensor,
    x: Tensor,
    weight: Tensor,
    geometry: Sequence[Any],
    needs: Sequence[bool],
) -> Gradients:
    """Compute a convolution's gradients; those of the input apart, which is faster than at once."""
    compute = torch.ops.aten.convolution_backward.default
    for_x = for_weight = for_bias = None
    if needs[0]:
        for_x = compute(g, x, weight, None, *geometry, [True, False, False])[0]
    if any(needs[1:]):
        sizes = [g.shape[1]] if needs[2] else None
        _, for_weight, for_bias = compute(g, x, weight, sizes, *geometry, [False, *needs[1:]])
    return for_x, for_weight, for_bias


class LinearLink(Link):
    """A linear layer."""

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute the output in one kernel."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, *self._after)  # noqa: SLF001 - not public
        return y

    def gradients(self, g: Tensor, x: Tensor, weight: Tensor, needs: Sequence[bool]) -> Gradients:
        """Compute the gradients from `g`, that of the output, masked by the ReLU."""
        return (
            g @ weight if needs[0] else None,
            g.t() @ x if needs[1] else None,
            g.sum(0) if needs[2] else None,
        )

    def differentiable(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute the output by PyTorch's own functions, which have gradients of any order."""
        y = functional.linear(x, weight, bias)
        return y.relu() if self.relu else y


class ConvLink(Link):
    """A convolution."""

    def __init__(self, layer: nn.Conv2d, *, relu: bool) -> None:
        super().__init__(layer, relu=relu)
        stride, padding, dilation = _lists(layer.stride, layer.padding, layer.dilation)
        self._geometry = (padding, stride, dilation, layer.groups)
        self._backward = (stride, padding, dilation, False, [0, 0], layer.groups)

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute the output in one kernel."""
        y: Tensor = torch.ops.mkldnn._convolution_pointwise.default(  # noqa: SLF001 - not public
            x, weight, bias, *self._geometry, *self._after
        )
        return y

    def gradients(self, g: Tensor, x: Tensor, weight: Tensor, needs: Sequence[bool]) -> Gradients:
        """Compute the gradients from `g`, that of the output, masked by the ReLU."""
        return _convolution_gradients(g, x, weight, self._backward, needs)

    def differentiable(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute the output by PyTorch's own functions, which have gradients of any order."""
        padding, stride, dilation, groups = self._geometry
        y = functional.conv2d(x, weight, bias, stride, padding, dilation, groups)
        return y.relu() if self.relu else y


class TransposedLink(Link):
    """A transposed convolution. Its bias gradient is a sum; PyTorch's own is slower."""

    def __init__(self, layer: nn.ConvTranspose2d, *, relu: bool) -> None:
        super().__init__(layer, relu=relu)
        stride, padding, dilation, more = _lists(
            layer.stride, layer.padding, layer.dilation, layer.output_padding
        )
        self._geometry = (padding, more, stride, dilation, layer.groups)
        self._backward = (stride, padding, dilation, True, more, layer.groups)
        ours = layer if isinstance(layer, ConvTranspose2d) else None
        self._around = ours.around() if ours is not None and ours.is_convolution() else None

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute the output in one kernel."""
        if self._around is not None and not self.relu and not _has_amx():
            dilation = tuple(self._geometry[3])
            if pays_to_widen(x, weight, self._around, dilation):
                return few_channels(x, weight.flip(2, 3).transpose(0, 1), bias, self._around)
        y: Tensor = torch.ops.mkldnn._convolution_transpose_pointwise.default(  # noqa: SLF001 - not public
            x, weight, bias, *self._geometry, *self._after
        )
        return y

    def gradients(self, g: Tensor, x: Tensor, weight: Tensor, needs: Sequence[bool]) -> Gradients:
        """Compute the gradients from `g`, that of the output, masked by the ReLU."""
        own = (needs[0], needs[1], False)
        for_x, for_weight, _ = _convolution_gradients(g, x, weight, self._backward, own)
        for_bias = g.sum((0, 2, 3)) if needs[2] else None
        return for_x, for_weight, for_bias

    def differentiable(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute the output by PyTorch's own functions, which have gradients of any order."""
        padding, more, stride, dilation, groups = self._geometry
        y = functional.conv_transpose2d(
            x, weight, bias, stride, padding, more, groups, tuple(dilation)
        )
        return y.relu() if self.relu else y


@functools.cache
def _has_amx() -> bool:
    """Return whether the processor multiplies tiles; there four neighbours as one are no faster."""
    return bool(torch.cpu._is_amx_tile_supported())  # noqa: SLF001 - there is no public way to ask


def _lists(*sizes: Any) -> list[list[int]]:
    return [list(size) for size in sizes]


def create_link(layer: nn.Module, *, relu: bool) -> Link | None:
    """Return the link of a layer; None for one that may compute something else.

    That is a subclass, another padding mode, or a size that is not a number.
    """
    if type(layer) not in _TYPES:
        return None
    if isinstance(layer, nn.Linear):
        return LinearLink(layer, relu=relu)
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)  # noqa: S101 - for the type checker
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return None
    if isinstance(layer, nn.Conv2d):
        return ConvLink(layer, relu=relu)
    return TransposedLink(layer, relu=relu)


@functools.cache
def links_work() -> bool:
    """Return whether this PyTorch and this processor have the operators, by calling each.

    The random generator is left as it was.
    """
    with torch.random.fork_rng([]), torch.no_grad(), torch.device("cpu"):
        layers: list[Layer] = [nn.Conv2d(1, 1, 1), nn.ConvTranspose2d(1, 1, 1), nn.Linear(2, 2)]
        x = torch.ones(1, 1, 2, 2, dtype=torch.bfloat16)
        try:
            for layer in layers:
                link = create_link(layer, relu=True)
                assert link is not None  # noqa: S101 - for the type checker
                given = x[0, 0] if isinstance(layer, nn.Linear) else x
                weight = torch.ones_like(layer.weight, dtype=torch.bfloat16)
                y = link.forward(given, weight, weight.new_zeros(len(weight)))
                link.gradients(link.mask(y, y), given, weight, [True, True, True])
        except (AttributeError, RuntimeError):
            return False
    return True

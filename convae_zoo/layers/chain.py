"""Layers and ReLUs in a row as one differentiable function, for training in bfloat16 on a CPU.

Between two layers autograd would keep, cast and pass over the values for each operation apart.
Here a layer and its ReLU are one kernel, and a gradient is masked and passed on in bfloat16.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from convae_zoo.layers.link import Link

_FORM = torch.channels_last


class Chain:
    """Computes layers one after the other, with their ReLUs.

    Args:
        links: at least one; the first decides on the input's shape.
        modules: the layers and ReLUs as they are in the model.
    """

    def __init__(self, links: Sequence[Link], modules: Sequence[nn.Module]) -> None:
        self.links = list(links)
        self.modules = list(modules)

    def accepts(self, x: Tensor) -> bool:
        """Return whether the chain computes this input: a batch, not empty, for its first layer."""
        first = self.links[0].layer
        is_linear = isinstance(first, nn.Linear)
        return (
            type(x) is Tensor
            and x.device.type == "cpu"
            and x.dtype in {torch.float32, torch.bfloat16}
            and x.ndim == (2 if is_linear else 4)
            and x.shape[1] == (first.in_features if is_linear else first.in_channels)
            and x.numel() > 0
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Map a batch to bfloat16, as the modules do under autocast."""
        if not self.accepts(x):
            for module in self.modules:
                x = module(x)
            return x
        weights = [w for link in self.links for w in (link.layer.weight, link.layer.bias)]
        output: Tensor = _Chain.apply(self.links, x, *weights)
        return output


class _Chain(torch.autograd.Function):
    """The function; its inputs after the links are x and each layer's weight and bias."""

    @staticmethod
    def forward(ctx: Any, links: list[Link], x: Tensor, *weights: Tensor | None) -> Tensor:
        values = [_prepared(x)]
        for index, link in enumerate(links):
            weight, bias = _bf16(weights[2 * index]), _bf16(weights[2 * index + 1])
            assert weight is not None  # noqa: S101 - for the type checker
            values.append(link.forward(values[-1], weight, bias))
        ctx.links = links
        # The last output is needed for its ReLU only; without one it may be changed in place.
        kept = values if links[-1].relu else values[:-1]
        ctx.save_for_backward(x, *weights, *kept)
        return values[-1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        links: list[Link] = ctx.links
        x, *saved = ctx.saved_tensors  # once: a checkpoint computes them when they are asked for
        weights, values = saved[: 2 * len(links)], saved[2 * len(links) :]
        needs: tuple[bool, ...] = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():  # the gradient is to have a gradient
            return None, *_differentiable(links, (x, *weights), needs, gradient)
        found: list[Tensor | None] = []
        g: Tensor | None = gradient
        for index in reversed(range(len(links))):
            if g is None:
                break
            link, weight = links[index], _bf16(weights[2 * index])
            assert weight is not None  # noqa: S101 - for the type checker
            g = _prepared(g)
            if link.relu:
                g = link.mask(g, values[index + 1])
            needs_x = any(needs[: 2 * index + 1])
            needed = [needs_x, *needs[2 * index + 1 : 2 * index + 3]]
            g, *own = link.gradients(g, values[index], weight, needed)
            found = [own[0] if needed[1] else None, own[1] if needed[2] else None, *found]
        return None, g, *[None] * (2 * len(links) - len(found)), *found


def _prepared(x: Tensor) -> Tensor:
    """Convert to bfloat16, images to channels_last."""
    x = x.to(torch.bfloat16)
    return x.contiguous(memory_format=_FORM) if x.ndim == 4 else x.contiguous()  # noqa: PLR2004 - N×C×H×W


def _bf16(weight: Tensor | None) -> Tensor | None:
    return None if weight is None else weight.to(torch.bfloat16)


def _differentiable(
    links: list[Link], inputs: Sequence[Tensor | None], needs: Sequence[bool], gradient: Tensor
) -> list[Tensor | None]:
    """Return the gradients of the inputs as functions that can be differentiated again."""
    y = inputs[0]
    assert y is not None  # noqa: S101 - for the type checker
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for index, link in enumerate(links):
            weight, bias = inputs[2 * index + 1 : 2 * index + 3]
            assert weight is not None  # noqa: S101 - for the type checker
            y = link.differentiable(y, weight, bias)
    pairs = zip(inputs, needs, strict=True)
    wanted = [tensor for tensor, needed in pairs if needed and tensor is not None]
    found = iter(torch.autograd.grad(y, wanted, gradient, create_graph=True))
    return [next(found) if needed else None for needed in needs]

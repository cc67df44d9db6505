"""bf16 copies of the weights that autocast would otherwise cast anew, one by one, in each step."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from convae_zoo.layers import ConvTranspose2d

_CAST = {nn.Conv2d, nn.ConvTranspose2d, ConvTranspose2d, nn.Linear}
"""Layers whose weights autocast casts to bf16 and uses for nothing else."""


class HalfWeights:
    """Lends a model bf16 weights for a forward pass, and brings their gradients back.

    What is computed is what autocast computes, to the bit; the casts of all layers are one kernel,
    forward and backward: 5% of a step of ``convae-200`` on a CPU.

    Args:
        model: its weights stay float32, and are its own between two forward passes.
    """

    def __init__(self, model: nn.Module) -> None:
        owners: dict[nn.Parameter, list[tuple[nn.Module, str]]] = {}
        for module in model.modules():
            for name, own in module._parameters.items():  # noqa: SLF001 - what parameters() reads
                if own is not None:
                    owners.setdefault(own, []).append((module, name))
        self._lent: list[tuple[nn.Module, str, nn.Parameter, nn.Parameter]] = []
        for weight, ((module, name), *others) in owners.items():
            alone = not others and type(module) in _CAST and weight.dtype == torch.float32
            if alone and weight.requires_grad:
                half = nn.Parameter(weight.detach().to(torch.bfloat16))
                self._lent.append((module, name, weight, half))
        self._weights: list[Tensor] = [weight for _, _, weight, _ in self._lent]
        self._halves: list[Tensor] = [half for _, _, _, half in self._lent]

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Put the bf16 weights, brought up to date, into the model for a while."""
        if self._lent:
            with torch.no_grad():
                torch._foreach_copy_(self._halves, self._weights)
        for module, name, _, half in self._lent:
            half.grad = None
            module._parameters[name] = half  # noqa: SLF001 - setattr takes hundreds of microseconds
        try:
            yield
        finally:
            for module, name, weight, _ in self._lent:
                module._parameters[name] = weight  # noqa: SLF001 - the same

    def bring_gradients(self) -> None:
        """Give the float32 weights the gradients of the bf16 ones."""
        pairs = [(w, h.grad) for w, h in zip(self._weights, self._halves, strict=True)]
        learnt = [(w, grad) for w, grad in pairs if grad is not None]
        if not learnt:
            return
        gradients = [torch.empty_like(weight) for weight, _ in learnt]
        torch._foreach_copy_(gradients, [grad for _, grad in learnt])
        for (weight, _), gradient in zip(learnt, gradients, strict=True):
            weight.grad = gradient

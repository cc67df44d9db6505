"""A model for code that takes an `Autoencoder`, whose passes run by `Inference`."""

import copy
import weakref
from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.inference import Inference


@attrs.frozen(eq=False)
class _Accelerated:
    model: Autoencoder
    versions: tuple[int, ...]
    """Of the weights when they were copied."""


_KNOWN: "weakref.WeakKeyDictionary[Autoencoder, _Accelerated]" = weakref.WeakKeyDictionary()


def accelerated(model: Autoencoder) -> Autoencoder:
    """Return a model with the same weights that runs faster on a CPU, in float32.

    Calling it, `encode` and `decode` need no gradients and repeat themselves to the bit, as
    `Inference` with ``repeatable`` does; its parts are the given model's own. It is made once, and
    again when the weights have changed. A model on another device comes back itself, as does one
    of another dtype or in training mode.
    """
    parameters = [*model.parameters(), *model.buffers()]
    is_float = all(p.dtype == torch.float32 for p in parameters if p.is_floating_point())
    if model.device.type != "cpu" or not is_float or model.training:
        return model
    versions = tuple(0 if p.is_inference() else p._version for p in parameters)  # noqa: SLF001 - there is no public way to ask
    known = _KNOWN.get(model)
    if known is None or known.versions != versions:
        known = _Accelerated(_accelerated(model), versions)
        _KNOWN[model] = known
    return known.model


def _accelerated(model: Autoencoder) -> Autoencoder:
    run = Inference(model, "fp32", repeatable=True)
    fast = copy.copy(model)
    for name, call in (("forward", run.forward), ("encode", run.encode), ("decode", run.decode)):
        vars(fast)[name] = _with_plain_output(call)
    return fast


def _with_plain_output(call: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Give a call an output that may be changed in place, which those of inference mode may not."""

    def run(*inputs: Tensor | None) -> Tensor:
        return call(*inputs).clone()

    return run

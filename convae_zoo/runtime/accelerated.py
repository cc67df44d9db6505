"""A model for code that takes an `Autoencoder`, whose passes run by `Inference`."""

import copy
import weakref

import attrs
import torch
from torch import Tensor

from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.inference import Inference


@attrs.frozen(eq=False)
class _Accelerated:
    model: Autoencoder
    weights: tuple[Tensor, ...]
    """Those that were copied."""

    state: tuple[tuple[int, ...], ...]
    """Theirs when they were copied."""


_KNOWN: "weakref.WeakKeyDictionary[Autoencoder, _Accelerated]" = weakref.WeakKeyDictionary()


def accelerated(model: Autoencoder) -> Autoencoder:
    """Return a model with the same weights that runs faster on a CPU, in float32.

    Calling it, `encode` and `decode` need no gradients and repeat themselves to the bit, as
    `Inference` with ``repeatable`` does; its parts are the given model's own. It is made once, and
    again when the weights have changed, except through ``.data``, in place. A model on another
    device comes back itself, as does one of another dtype, in training mode, or with weights made
    in inference mode.
    """
    weights = (*model.parameters(), *model.buffers())
    is_plain = all(
        not w.is_inference() and (w.dtype == torch.float32 or not w.is_floating_point())
        for w in weights
    )
    if model.device.type != "cpu" or not is_plain or model.training:
        return model
    state = tuple((id(w), w.data_ptr(), w._version) for w in weights)  # noqa: SLF001 - there is no public way to ask
    known = _KNOWN.get(model)
    if known is None or known.state != state:
        known = _Accelerated(_accelerated(model), weights, state)
        _KNOWN[model] = known
    return known.model


def _accelerated(model: Autoencoder) -> Autoencoder:
    run = Inference(model, "fp32", repeatable=True)
    fast = copy.copy(model)
    vars(fast).update(forward=run.forward, encode=run.encode, decode=run.decode)
    return fast

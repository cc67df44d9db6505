"""Losses by name, and weighted sums of several."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from convae_zoo.errors import unknown
from convae_zoo.models.contract import call_part
from convae_zoo.models.loss_check import check_calls
from convae_zoo.registry.expression_terms import Term
from convae_zoo.registry.expressions import find_spec, parse_expression, term_config
from convae_zoo.registry.factories import build, field_names, plugin_error
from convae_zoo.registry.specs import LossSpec


class WeightedSum(nn.Module):
    """A weighted sum of losses.

    Args:
        weights: one number per loss.
        losses: modules that map (reconstruction, target) to a scalar.
    """

    def __init__(self, weights: Sequence[float], losses: Sequence[nn.Module]) -> None:
        super().__init__()
        self.weights = tuple(weights)
        self.losses = nn.ModuleList(losses)

    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Map two batches N×C×H×W to the weighted sum, a scalar."""
        terms = [
            w * call_loss(loss, reconstruction, target)
            for w, loss in zip(self.weights, self.losses, strict=True)
        ]
        total: Tensor = sum(terms[1:], terms[0])
        return total

    def extra_repr(self) -> str:
        """Show the weights."""
        return f"weights={self.weights}"


_specs: WeakKeyDictionary[nn.Module, LossSpec] = WeakKeyDictionary()
"""What each loss was built from, to name its plugin where it fails."""


def call_loss(
    loss: nn.Module,
    reconstruction: Tensor,
    target: Tensor,
    call: Callable[[Tensor, Tensor], Any] | None = None,
) -> Any:
    """Call a loss, or one of its methods, on two batches N×C×H×W.

    Raises:
        PluginError: as `call_part` says. Exceptions of a module that is no plugin's pass as they
            are.
    """
    call = call or loss
    if torch.compiler.is_compiling() or (spec := _specs.get(loss)) is None:
        return call(reconstruction, target)
    return call_part(spec, "it", call, reconstruction, target)


def create_loss(name: str, **config: Any) -> nn.Module:
    """Build a loss, or a weighted sum of several as in ``"0.8*l1 + 0.2*ssim(window=7)"``.

    Args:
        name: a loss's name, with config values where they differ from the defaults, or a weighted
            sum.
        config: further config values; in a sum each applies to every loss that has the field.

    Returns:
        A module that maps (reconstruction, target), both N×C×H×W, to a scalar.

    Raises:
        UnknownNameError: no such loss or field.
        ConfigError: a value of the wrong type or out of range, or a string that cannot be parsed.
            The error names the place in the string.
    """
    terms = _terms(name)
    known = {field for _, spec in terms for field in field_names(spec)}
    for field in config:
        if field not in known:
            raise unknown(f"field of loss {name!r}:", field, known)
    losses = [
        _build(
            spec, term_config(term, spec, {k: config[k] for k in field_names(spec) if k in config})
        )
        for term, spec in terms
    ]
    weights = [term.weight for term, _ in terms]
    return losses[0] if weights == [1.0] else WeightedSum(weights, losses)


def create_training_loss(
    name: str, value_range: tuple[float, float], in_channels: int = 3
) -> nn.Module:
    """Build a loss for a model's images.

    The config fields ``value_range`` and ``in_channels`` of a loss are set to the model's.

    Raises:
        ZooError: as `create_loss` does; also where `name` sets one of them to another value.
    """
    known = {field for _, spec in _terms(name) for field in field_names(spec)}
    images = {"value_range": value_range, "in_channels": in_channels}
    return create_loss(name, **{k: v for k, v in images.items() if k in known})


def _terms(text: str) -> list[tuple[Term, LossSpec]]:
    terms = parse_expression(text, "loss").terms
    return [(term, cast("LossSpec", find_spec(term, "loss"))) for term in terms]


def _build(spec: LossSpec, config: Any) -> nn.Module:
    loss = build(spec, config)
    if not isinstance(loss, nn.Module):
        raise plugin_error(spec, f"its factory must return an nn.Module, got {loss!r:.80}")

    check_calls(loss, partial(plugin_error, spec))
    _specs[loss] = spec
    return loss

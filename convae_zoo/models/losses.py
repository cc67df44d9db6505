"""Losses by name, and weighted sums of several."""

import math
import re
from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn

from convae_zoo.errors import ConfigError, unknown
from convae_zoo.registry import get_registry
from convae_zoo.registry.factories import build, field_names, make_config, plugin_error
from convae_zoo.registry.specs import LossSpec

_TERM = re.compile(
    r"\s*(?:(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*\*\s*)?"
    r"(?P<name>[a-z0-9][a-z0-9_-]*)\s*(?P<more>\+|$)",
    re.ASCII,
)


class WeightedSum(nn.Module):
    """A sum of losses, each times its weight.

    Args:
        weights: one number a loss.
        losses: modules that map (reconstruction, target) to a scalar.
    """

    def __init__(self, weights: Sequence[float], losses: Sequence[nn.Module]) -> None:
        super().__init__()
        self.weights = tuple(weights)
        self.losses = nn.ModuleList(losses)

    def forward(self, reconstruction: Tensor, target: Tensor) -> Tensor:
        """Map two batches N×C×H×W to the weighted sum, a scalar."""
        terms = [
            w * loss(reconstruction, target)
            for w, loss in zip(self.weights, self.losses, strict=True)
        ]
        total: Tensor = sum(terms[1:], terms[0])
        return total

    def extra_repr(self) -> str:
        """Show the weights."""
        return f"weights={self.weights}"


def parse_loss(text: str) -> list[tuple[float, str]]:
    """Read ``"mse"`` or ``"0.8*l1 + 0.2*ssim"`` into weights and names.

    Raises:
        ConfigError: it cannot be read so.
    """
    terms: list[tuple[float, str]] = []
    end, more = 0, True
    while more:
        match = _TERM.match(text, end)
        weight = float(match["weight"] or 1) if match else math.inf
        if match is None or not math.isfinite(weight):
            raise ConfigError(f"loss {text!r} must be a name or a sum such as '0.8*l1 + 0.2*ssim'")
        terms.append((weight, match["name"]))
        end, more = match.end(), bool(match["more"])
    return terms


def create_loss(name: str, **config: Any) -> nn.Module:
    """Build a loss, or a weighted sum of several as in ``"0.8*l1 + 0.2*ssim"``.

    Args:
        name: a loss's name, or a weighted sum.
        config: config values; in a sum each goes to every loss that has the field.

    Returns:
        A module that maps (reconstruction, target), both N×C×H×W, to a scalar.

    Raises:
        UnknownNameError: no such loss or field.
        ConfigError: a value out of range, or a sum that cannot be read.
    """
    terms = parse_loss(name)
    specs = [cast("LossSpec", get_registry().get("loss", n)) for _, n in terms]
    known = {f for spec in specs for f in field_names(spec)}
    for field in config:
        if field not in known:
            raise unknown(f"field of loss {name!r}:", field, known)
    losses = [_build(s, {k: v for k, v in config.items() if k in field_names(s)}) for s in specs]
    if len(losses) == 1 and terms[0][0] == 1.0:
        return losses[0]
    return WeightedSum([w for w, _ in terms], losses)


def create_training_loss(
    name: str, value_range: tuple[float, float], in_channels: int = 3
) -> nn.Module:
    """Build a loss for a model's images: their range and channels go to every loss that asks."""
    specs = [cast("LossSpec", get_registry().get("loss", n)) for _, n in parse_loss(name)]
    asked = {field for spec in specs for field in field_names(spec)}
    images = {"value_range": value_range, "in_channels": in_channels}
    return create_loss(name, **{k: v for k, v in images.items() if k in asked})


def _build(spec: LossSpec, values: dict[str, Any]) -> nn.Module:
    loss = build(spec, make_config(spec, values))
    if not isinstance(loss, nn.Module):
        raise plugin_error(spec, f"its factory must return an nn.Module, got {loss!r:.80}")

    def check(_: nn.Module, __: Any, value: Any) -> None:
        if not isinstance(value, Tensor) or value.shape != ():
            got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"{value!r:.40}"
            raise plugin_error(
                spec, f"a loss must return a scalar tensor, such as the mean, got {got}"
            )

    loss.register_forward_hook(check)
    return loss

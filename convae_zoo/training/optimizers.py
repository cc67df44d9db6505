"""Optimisers by name, with their settings in the expression syntax: ``muon(momentum=0.9)``."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from convae_zoo.errors import UsageError, unknown
from convae_zoo.registry import recipe_settings
from convae_zoo.registry.expressions import parse_entry
from convae_zoo.registry.factories import create_config
from convae_zoo.registry.recipe_settings import AdamConfig, AdamWConfig, MuonConfig, SGDConfig
from convae_zoo.training.muon import Muon, is_matrix

Parameters = Iterable[nn.Parameter]
Create = Callable[[Parameters, Any, float | Tensor, bool, bool], torch.optim.Optimizer]


def _adam(parameters: Parameters, config: AdamConfig, rate: Any, fused: bool, bf16: bool) -> Any:  # noqa: ARG001 - as the others
    kind = torch.optim.AdamW if isinstance(config, AdamWConfig) else torch.optim.Adam
    return kind(
        parameters,
        lr=rate,
        betas=(config.beta1, config.beta2),
        eps=config.eps,
        weight_decay=config.weight_decay,
        fused=fused,
        capturable=isinstance(rate, Tensor),
    )


def _sgd(parameters: Parameters, config: SGDConfig, rate: Any, fused: bool, bf16: bool) -> Any:  # noqa: ARG001 - as the others
    return torch.optim.SGD(parameters, lr=rate, fused=fused, **attrs.asdict(config))


def _muon(parameters: Parameters, config: MuonConfig, rate: Any, fused: bool, bf16: bool) -> Any:  # noqa: ARG001 - as the others
    given = list(parameters)
    if not any(map(is_matrix, given)):
        raise UsageError(
            f"optimizer 'muon' orthogonalises weight matrices, and none of the {len(given)} "
            "parameters has two rows and two columns; use adam"
        )
    return Muon(given, lr=rate, bf16=bf16, **attrs.asdict(config))


OPTIMIZERS: Mapping[str, Create] = MappingProxyType(
    {"adam": _adam, "adamw": _adam, "sgd": _sgd, "muon": _muon}
)
"""The function that creates each optimiser."""


def optimizer_config(text: str) -> tuple[str, Any]:
    """Read the name and the settings of an optimiser from an expression.

    Raises:
        UnknownNameError: no such optimiser or setting.
        ConfigError: it cannot be read, or a value is of the wrong type or out of range.
    """
    term = parse_entry(text, "optimizer")
    if term.name not in OPTIMIZERS:
        raise unknown("optimizer", term.name, OPTIMIZERS)
    kind = recipe_settings.OPTIMIZERS[term.name]
    return term.name, create_config(kind, term.config, f"optimizer {term.name!r}")


def create_optimizer(
    text: str,
    parameters: Parameters,
    rate: float,
    device: torch.device,
    *,
    fused: bool,
    bf16: bool = False,
) -> torch.optim.Optimizer:
    """Create an optimiser from an expression; on CUDA one whose steps can be captured.

    Args:
        text: name and settings, as in ``muon(momentum=0.9)``.
        parameters: to train.
        rate: the initial learning rate.
        device: of the parameters.
        fused: use PyTorch's fused kernels where there are any.
        bf16: compute in bfloat16 where that trains as well.

    Raises:
        UnknownNameError: no such optimiser or setting.
        ConfigError: the expression cannot be read, or a value is out of range.
        UsageError: the shapes of the parameters do not suit the optimiser.
    """
    name, config = optimizer_config(text)
    lr = torch.tensor(rate, device=device) if device.type == "cuda" else rate
    return OPTIMIZERS[name](parameters, config, lr, fused, bf16)

"""The hooks that a plugin may implement: one per kind of entry, called with a typed registrar.

A plugin is a module (or object) named by an entry point in the group ``convae_zoo``. It must not
import torch: a spec names its factory by import string, and its config is an attrs class.
"""

from typing import Protocol, TypeVar

import pluggy

from convae_zoo.registry.specs import (
    CorruptionSpec,
    DatasetSpec,
    DecoderSpec,
    EncoderSpec,
    LossSpec,
    ModelSpec,
    ScoreSpec,
    WeightsSpec,
)

PROJECT = "convae_zoo"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

S_contra = TypeVar("S_contra", contravariant=True)


class Registrar(Protocol[S_contra]):
    """Registers specs of one kind, with the provenance of the plugin that calls it."""

    def __call__(self, spec: S_contra) -> None:
        """Register one spec.

        Raises:
            PluginError: the spec is of another kind, or its name is already registered.
        """


@hookspec
def register_encoders(register: Registrar[EncoderSpec]) -> None:
    """Register encoders."""


@hookspec
def register_decoders(register: Registrar[DecoderSpec]) -> None:
    """Register decoders."""


@hookspec
def register_losses(register: Registrar[LossSpec]) -> None:
    """Register losses."""


@hookspec
def register_datasets(register: Registrar[DatasetSpec]) -> None:
    """Register datasets."""


@hookspec
def register_models(register: Registrar[ModelSpec]) -> None:
    """Register models."""


@hookspec
def register_weights(register: Registrar[WeightsSpec]) -> None:
    """Register trained weights, of any distribution's models."""


@hookspec
def register_corruptions(register: Registrar[CorruptionSpec]) -> None:
    """Register corruptions."""


@hookspec
def register_scores(register: Registrar[ScoreSpec]) -> None:
    """Register anomaly scores."""

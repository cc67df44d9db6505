"""The registry: names to specs, built once from the plugins and then frozen."""

import fnmatch
import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

import attrs

from convae_zoo.errors import PluginError, UnknownNameError, unknown
from convae_zoo.plugins import Plugin, PluginManager, complain, load_entry_points
from convae_zoo.specs import (
    DatasetSpec,
    DecoderConfig,
    DecoderSpec,
    EncoderConfig,
    EncoderSpec,
    LossSpec,
    ModelSpec,
    Provenance,
    Spec,
    WeightsSpec,
)

KINDS: Mapping[str, type[Spec]] = MappingProxyType(
    {
        "encoder": EncoderSpec,
        "decoder": DecoderSpec,
        "loss": LossSpec,
        "dataset": DatasetSpec,
        "model": ModelSpec,
    }
)
"""The kinds of entry, each with the class of its specs."""

PLURALS = MappingProxyType({kind: "losses" if kind == "loss" else f"{kind}s" for kind in KINDS})
"""A kind's name where there are many: of its hook, its list and its command."""

S = TypeVar("S", bound=Spec)


@attrs.frozen
class Registry:
    """What all plugins registered, by kind and name; frozen."""

    entries: Mapping[str, Mapping[str, Spec]]
    plugins: tuple[Plugin, ...] = ()

    def get(self, kind: str, name: str) -> Spec:
        """Return the spec of that kind and name.

        Raises:
            UnknownNameError: nothing has that name; the nearest names are suggested.
        """
        known = self.entries[kind]
        if name not in known:
            error = unknown(kind, name, known)
            broken = ", ".join(p.name for p in self.plugins if p.status == "broken")
            if broken:
                hint = f" (broken plugins: {broken}; see 'convae-zoo plugins')"
                raise UnknownNameError(f"{error}{hint}")
            raise error
        return known[name]

    def names(self, kind: str, pattern: str = "*") -> list[str]:
        """Return the sorted names of a kind that match a wildcard pattern."""
        return sorted(fnmatch.filter(self.entries[kind], pattern))


class _Registrar(Generic[S]):
    """Takes one plugin's specs of one kind; a name that is taken is an error."""

    def __init__(
        self, kind: str, provenance: Provenance, taken: Mapping[str, Spec], staged: dict[str, Spec]
    ) -> None:
        self.kind, self.provenance, self.taken, self.staged = kind, provenance, taken, staged

    def __call__(self, spec: S) -> None:
        expected = KINDS[self.kind]
        if not isinstance(spec, expected):
            raise PluginError(
                f"register_{PLURALS[self.kind]} takes {expected.__name__}, got {spec!r:.80}"
            )
        _check_contract(spec)
        other = self.taken.get(spec.name) or self.staged.get(spec.name)
        if other is not None and other.provenance is not None:
            raise PluginError(
                f"{self.kind} {spec.name!r} of {self.provenance.distribution} is already "
                f"registered by {other.provenance.distribution} (plugin "
                f"{other.provenance.plugin!r}); rename one or uninstall one"
            )
        self.staged[spec.name] = attrs.evolve(spec, provenance=self.provenance)


def _check_contract(spec: Spec) -> None:
    if isinstance(spec, EncoderSpec):
        kept, wanted = isinstance(spec.config(), EncoderConfig), "input_shape"
    elif isinstance(spec, DecoderSpec):
        kept, wanted = isinstance(spec.config(), DecoderConfig), "output_shape"
    else:
        return
    if not kept:
        raise PluginError(
            f"config {spec.config.__name__} of {spec.name!r} must have the properties "
            f"latent_shape and {wanted}"
        )


def build_registry(manager: PluginManager) -> Registry:
    """Call every plugin's hooks and freeze what they register.

    A plugin whose hook raises is left out whole.
    """
    entries: dict[str, dict[str, Spec]] = {kind: {} for kind in KINDS}
    for plugin in manager.loaded():
        try:
            staged = _collect(manager, plugin, entries)
        except Exception as error:  # noqa: BLE001 - whatever a plugin's hook raises
            manager.mark_broken(plugin, error)
            complain(plugin.reason)
            continue
        for kind, specs in staged.items():
            entries[kind].update(specs)
    frozen = {kind: MappingProxyType(specs) for kind, specs in entries.items()}
    return Registry(MappingProxyType(frozen), tuple(manager.found.values()))


def _collect(
    manager: PluginManager, plugin: Plugin, entries: dict[str, dict[str, Spec]]
) -> dict[str, dict[str, Spec]]:
    hooks = manager.hooks
    others = [p for name, p in hooks.list_name_plugin() if name != plugin.name]
    staged: dict[str, dict[str, Spec]] = {kind: {} for kind in KINDS}
    for kind in KINDS:
        registrar: _Registrar[Any] = _Registrar(
            kind, plugin.provenance, entries[kind], staged[kind]
        )
        caller = hooks.subset_hook_caller(f"register_{PLURALS[kind]}", others)
        cast("Callable[..., object]", caller)(register=registrar)
    return staged


@functools.cache
def get_registry() -> Registry:
    """Return the registry of everything that is installed; built at the first call."""
    return build_registry(load_entry_points())


def list_encoders(pattern: str = "*") -> list[str]:
    """List the encoders whose name matches a wildcard pattern."""
    return get_registry().names("encoder", pattern)


def list_decoders(pattern: str = "*") -> list[str]:
    """List the decoders whose name matches a wildcard pattern."""
    return get_registry().names("decoder", pattern)


def list_losses(pattern: str = "*") -> list[str]:
    """List the losses whose name matches a wildcard pattern."""
    return get_registry().names("loss", pattern)


def list_datasets(pattern: str = "*") -> list[str]:
    """List the datasets whose name matches a wildcard pattern."""
    return get_registry().names("dataset", pattern)


def list_models(pattern: str = "*", *, pretrained: bool = False) -> list[str]:
    """List the models whose name matches a wildcard pattern.

    With `pretrained`, list the names of trained weights instead, as in ``convae-200.photos``:
    those whose file is there.
    """
    registry = get_registry()
    if not pretrained:
        return registry.names("model", pattern)
    tagged = [
        f"{name}.{weights.tag}"
        for name in registry.names("model")
        for weights in model_info(name).weights
        if weights.file is not None
    ]
    return sorted(fnmatch.filter(tagged, pattern))


def model_info(name: str) -> ModelSpec:
    """Return the spec of a model, by its name with or without a weights tag.

    Raises:
        UnknownNameError: no model has that name, or the model has no such weights.
    """
    return find_model(name)[0]


def find_model(name: str) -> tuple[ModelSpec, WeightsSpec | None]:
    """Return the model of a name, and the weights where the name has a tag.

    Raises:
        UnknownNameError: no model has that name, or the model has no such weights.
    """
    base, dot, tag = name.partition(".")
    spec = cast("ModelSpec", get_registry().get("model", base))
    if not dot:
        return spec, None
    weights = spec.tag(tag)
    if weights is None:
        raise unknown(f"weights of {base}", name, [f"{base}.{w.tag}" for w in spec.weights])
    return spec, weights

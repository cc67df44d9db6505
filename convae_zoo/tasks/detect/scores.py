"""Scores by name, called with checks: what a plugin returns must be what its spec declares."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import attrs
import torch
from torch import Tensor

from convae_zoo.errors import DataError, WeightsError, ZooError, is_out_of_memory, reason
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.registry import get_registry
from convae_zoo.registry.expressions import find_spec, parse_entry, term_config
from convae_zoo.registry.factories import build, config_values, make_config, plugin_error
from convae_zoo.registry.protocols import Score
from convae_zoo.registry.specs import Provenance, ScoreSpec, shape_text
from convae_zoo.runtime.modes import BATCH_SIZE

_UNKNOWN = Provenance("?", "an unknown distribution", "?")


@attrs.frozen
class Batches:
    """Images in batches on a device; may be iterated repeatedly.

    Attributes:
        images: uint8 N×C×H×W.
        device: of the batches.
    """

    images: Tensor
    device: torch.device

    def __iter__(self) -> Iterator[Tensor]:
        return (part.to(self.device) for part in torch.split(self.images, BATCH_SIZE))


@attrs.frozen(eq=False)
class CheckedScore:
    """A score of a plugin.

    Attributes:
        spec: what it was built from.
        config: the same.
        score: the score itself.
    """

    spec: ScoreSpec
    config: Any
    score: Score

    def fit(self, batches: Iterable[Tensor], model: Autoencoder) -> None:
        """Fit it to normal images, uint8 N×C×H×W on the model's device.

        Raises:
            PluginError: it fails.
        """
        if self.spec.needs_fit:
            with torch.no_grad(), self._named("its fit fails"):
                self.score.fit(batches, model)

    def __call__(self, images: Tensor, model: Autoencoder) -> tuple[Tensor, Tensor | None]:
        """Score images, uint8 N×C×H×W on the model's device.

        Returns:
            Scores, finite float32 N; and maps, float32 N×H×W, if its spec has ``gives_map``.

        Raises:
            PluginError: it fails, or returns something else.
            DataError: a score is NaN or infinite.
        """
        with torch.no_grad(), self._named(f"it fails on images {shape_text(tuple(images.shape))}"):
            scores, maps = self.score(images, model)
        count, _, height, width = images.shape
        self._check("scores", scores, (count,))
        if self.spec.gives_map:
            self._check("map", maps, (count, height, width))
        return scores.float(), maps.float() if self.spec.gives_map and maps is not None else None

    def state(self) -> dict[str, Tensor]:
        """Return what it learned, on the CPU."""
        return {name: value.cpu() for name, value in self.score.state_dict().items()}

    def restore(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        """Restore what it learned.

        Raises:
            PluginError: it does not accept the state.
        """
        with self._named("it does not load its own state"):
            self.score.load_state_dict({name: value.to(device) for name, value in state.items()})

    def copied(self, device: torch.device) -> "CheckedScore":
        """Return a copy on a device."""
        copy = CheckedScore(self.spec, self.config, build(self.spec, self.config))
        copy.restore(self.state(), device)
        return copy

    def describe(self) -> dict[str, Any]:
        """Return its name, config and origin as JSON values."""
        return {
            "name": self.spec.name,
            "config": config_values(self.config),
            **attrs.asdict(self.spec.provenance or _UNKNOWN),
        }

    def _check(self, what: str, value: object, shape: tuple[int, ...]) -> None:
        if not isinstance(value, Tensor) or tuple(value.shape) != shape:
            got = shape_text(tuple(value.shape)) if isinstance(value, Tensor) else repr(value)
            raise plugin_error(self.spec, f"its {what} must be {shape_text(shape)}, got {got:.60}")
        if not bool(value.isfinite().all()):
            raise DataError(f"the {what} of score {self.spec.name!r} hold NaN or infinity")

    def _named(self, what: str) -> "_Named":
        return _Named(self.spec, what)


@attrs.frozen
class _Named:
    """Turns exceptions of a plugin's code into errors that name the plugin."""

    spec: ScoreSpec
    what: str

    def __enter__(self) -> None:
        """Start."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Name the plugin."""
        if error is None or isinstance(error, ZooError) or not isinstance(error, Exception):
            return
        if not is_out_of_memory(error):
            raise plugin_error(self.spec, f"{self.what}: {reason(error)}") from error


def create_score(expression: str) -> CheckedScore:
    """Build a score from an expression such as ``combined(neighbours=5)``.

    Raises:
        UnknownNameError: no such score or field.
        ConfigError: a value of the wrong type or out of range, or a sum.
    """
    term = parse_entry(expression, "score")
    spec = cast("ScoreSpec", find_spec(term, "score"))
    config = term_config(term, spec)
    return CheckedScore(spec, config, build(spec, config))


def restore_score(
    described: Mapping[str, Any], state: Mapping[str, Tensor], device: torch.device, source: str
) -> CheckedScore:
    """Build the score that `CheckedScore.describe` describes, with its state.

    Raises:
        WeightsError: it is not installed, or its config or state does not fit what is.
    """
    name, origin = str(described["name"]), str(described["distribution"])
    if name not in get_registry().entries["score"]:
        raise WeightsError(
            f"{source} needs score {name!r} of {origin} {described['version']}, which is not "
            f"installed or did not load: pip install {origin}"
        )
    spec = cast("ScoreSpec", get_registry().get("score", name))
    try:
        config = make_config(spec, _tuples(described["config"]))
        restored = CheckedScore(spec, config, build(spec, config))
        restored.restore(state, device)
    except ZooError as error:
        raise WeightsError(f"{source}: {error}") from error
    return restored


def _tuples(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with tuples, of which JSON makes lists."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}

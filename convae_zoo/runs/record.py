"""The record of a run, ``run.json``: what is trained, how, on what, and how far it is."""

import hashlib
import json
import platform
import uuid
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
from attrs.validators import ge, in_, instance_of, lt

from convae_zoo.errors import TrainingError
from convae_zoo.registry.specs import Recipe
from convae_zoo.runtime.precision import PRECISIONS

FORMAT_VERSION = 1
STATES = ("running", "finished", "interrupted", "failed")
_PACKAGES = ("convae-zoo", "torch", "torchvision", "numpy")

_is_text = instance_of(str)
_is_count = [instance_of(int), ge(0), lt(2**31)]


def _is_model(_: object, __: object, value: Any) -> None:
    """Check what `Plan.describe` returns: two parts, each with its name and config."""
    for part in ("encoder", "decoder"):
        if not isinstance(value[part]["name"], str) or not isinstance(value[part]["config"], dict):
            raise TypeError(f"its {part} must have a name and a config")
    if not isinstance(value["name"], str | None):
        raise TypeError("its model must have a name or none")


def _is_dataset(_: object, __: object, value: Any) -> None:
    for key in ("name", "fingerprint"):
        if not isinstance(value[key], str):
            raise TypeError(f"the {key} of its dataset must be a text")


def _is_source(_: object, __: object, value: Any) -> None:
    if value is not None and not all(isinstance(value[k], str) for k in ("name", "sha256")):
        raise TypeError("the weights that it started from must have a name and a sha256")


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {p: version(p) for p in _PACKAGES}


@attrs.frozen(kw_only=True)
class RunRecord:
    """The content of ``run.json``.

    Attributes:
        id: of the run, drawn when it starts; empty for runs that are older than ids.
        state: one of `STATES`.
        epochs_done: finished epochs.
        model: the plan of the model, as `Plan.describe` returns it.
        started_from: name and sha256 of the weights that it started from; None for fresh weights.
            A model in memory has no sha256.
        recipe: how it is trained.
        dataset: of the two sets of images: name, expression, fingerprints, sizes, license; see
            `convae_zoo.data.load.describe_sets`.
        device: described for people.
        precision: ``fp32`` or ``bf16``, what the recipe's ``auto`` was resolved to.
        processes: how many train together.
        versions: of Python and the main packages.
    """

    id: str = attrs.field(factory=lambda: uuid.uuid4().hex, validator=_is_text)
    state: str = attrs.field(default="running", validator=in_(STATES))
    epochs_done: int = attrs.field(default=0, validator=_is_count)
    model: dict[str, Any] = attrs.field(validator=_is_model)
    started_from: dict[str, str] | None = attrs.field(default=None, validator=_is_source)
    recipe: Recipe = attrs.field(validator=instance_of(Recipe))
    dataset: dict[str, Any] = attrs.field(validator=_is_dataset)
    device: str = attrs.field(validator=_is_text)
    precision: str = attrs.field(validator=in_(PRECISIONS[1:]))
    processes: int = attrs.field(validator=_is_count)
    versions: dict[str, str] = attrs.field(factory=_versions)

    @property
    def digest(self) -> str:
        """Sha256 of all that stays the same for as long as a run is resumed.

        Only the recipe's settings that differ from the defaults are in it, so that a release with
        more settings resumes the runs of one with fewer. The epochs may change where the learning
        rate does not depend on them.
        """
        recipe = attrs.asdict(self.recipe, filter=lambda field, value: value != field.default)
        if self.recipe.schedule == "constant":
            recipe.pop("epochs", None)
        fixed = [self.id, self.model, self.started_from, recipe, self.dataset, self.precision]
        return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        """Return the text of ``run.json``."""
        document = {"format_version": FORMAT_VERSION, **attrs.asdict(self), "digest": self.digest}
        return json.dumps(document, indent=2) + "\n"


def read_record(path: Path) -> RunRecord:
    """Read and check a ``run.json``.

    Raises:
        TrainingError: it is missing, damaged, edited, or of a newer format.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format_version"] > FORMAT_VERSION:
            raise TrainingError(
                f"{path.parent} was written by a newer convae_zoo; upgrade to read it"
            )
        record, digest = _record(document)
    except FileNotFoundError:
        raise TrainingError(f"{path.parent} holds no run: there is no {path.name} in it") from None
    except OSError as error:
        raise TrainingError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error.args[0] if error.args else error).split())
        raise TrainingError(
            f"{path} is damaged ({type(error).__name__}: {reason:.80}); start again with "
            "--overwrite"
        ) from error
    if digest is not None and digest != record.digest:
        raise TrainingError(
            f"{path} was edited: its settings are not those that the run was started with; put "
            "them back, or start again with --overwrite"
        )
    return record


def _record(document: Mapping[str, Any]) -> tuple[RunRecord, str | None]:
    """Return a document's record and its digest, which runs that are older than ids lack."""
    names = {field.name for field in attrs.fields(RunRecord)}
    values = {name: value for name, value in document.items() if name in names}
    values |= {"id": document.get("id", ""), "recipe": Recipe(**document["recipe"])}
    return RunRecord(**values), document["digest"] if values["id"] else None

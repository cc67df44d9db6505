"""Detectors as safetensors files; nothing is pickled.

The document has the kind ``detector`` and describes the model, the score, the form of X and the
arguments, with the alarm rate among them. The tensors are the model's (``model.…``), unless it has
registered weights, the score's (``score.…``), and the raw results of the held-out images
(``calibration.…``). The sha256 of the model is recorded in either case.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convae_zoo.errors import WeightsError, ZooError, reason
from convae_zoo.files import is_path, write_bytes
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.registry.specs import Recipe
from convae_zoo.runtime.device import choose_device
from convae_zoo.tasks.detect import conformal
from convae_zoo.tasks.detect.fitted import Calibration, Scorer
from convae_zoo.tasks.detect.scores import restore_score
from convae_zoo.tasks.estimators.intake import Intake
from convae_zoo.tasks.estimators.layout import Layout
from convae_zoo.tasks.estimators.model import place
from convae_zoo.tasks.estimators.table import Table
from convae_zoo.weights import file_format
from convae_zoo.weights.load import load_model, map_file, plan_of, version_hint
from convae_zoo.weights.load_state import build_with_state
from convae_zoo.weights.save import describe_model, stored_tensors

KIND = "detector"
_MODEL, _SCORE, _CALIBRATION = "model.", "score.", "calibration."
_SHOWN = 12  # digits of a sha256 in a message


@attrs.frozen(kw_only=True, eq=False)
class Stored:
    """What a file holds.

    Attributes:
        arguments: of the detector, besides the model and the device.
        model_name: the ``model`` argument, if it is a name; else None.
        weights: name of the registered weights that are the model; None if the file holds them.
        scorer: the model, the score and the layout.
        calibration: raw results of the held-out images.
        intake: the form of X.
        features: number and names of a table's columns; None for either that there is not.
    """

    arguments: Mapping[str, Any]
    model_name: str | None
    weights: str | None
    scorer: Scorer
    calibration: Calibration
    intake: Intake
    features: tuple[int | None, list[str] | None]


def write(stored: Stored, path: str | Path) -> None:
    """Write a detector.

    Raises:
        WeightsError: NaN or infinity in it, or an argument that is no JSON value.
        FileError: it cannot be written.
    """
    model, calibration = stored.scorer.model, stored.calibration
    state = stored_tensors(model.state_dict())
    document = {
        "kind": KIND,
        **describe_model(model),
        "model_name": stored.model_name,
        "weights": stored.weights,
        "model_sha256": _sha256(model, state),
        "score": stored.scorer.score.describe(),
        "layout": attrs.asdict(stored.scorer.layout),
        "channels": stored.intake.channels,
        "table": None if stored.intake.table is None else attrs.asdict(stored.intake.table),
        "features": list(stored.features),
        "arguments": {name: _to_json(value) for name, value in stored.arguments.items()},
    }
    results = attrs.asdict(calibration)
    tensors = {
        **({} if stored.weights else _prefixed(_MODEL, state)),
        **_prefixed(_SCORE, stored_tensors(stored.scorer.score.state())),
        **{
            f"{_CALIBRATION}{name}": torch.from_numpy(values)
            for name, values in results.items()
            if values is not None
        },
    }
    write_bytes(path, *file_format.pack(document, tensors))


def read(path: str | Path, device: str) -> Stored:
    """Read a detector and check all of it.

    Args:
        path: a file that `write` wrote.
        device: of the model.

    Raises:
        WeightsError: the file is missing, damaged, altered or no detector; the model's or the
            score's plugin is not installed; or the registered weights are not those of the fit.
    """
    document, tensors = _unpacked(path)
    with _readable(str(path)):
        return _restored(document, tensors, str(path), device)


def describe(path: str | Path) -> dict[str, Any]:
    """Return what a file says of its detector, as JSON values; no model and no score is built.

    Returns:
        A dict with the keys ``score``, ``weights`` (the registered ones that it needs, or None),
        ``channels``, ``picture_size`` (H and W of whole pictures, or None), ``alarm_rate``,
        ``held_out`` (the number of normal images) and ``threshold``; and those of a model.

    Raises:
        WeightsError: the file is missing, damaged, altered or no detector.
    """
    document, tensors = _unpacked(path)
    with _readable(str(path)):
        scores = _array(tensors[f"{_CALIBRATION}scores"])
        rate = conformal.check_rate(document["arguments"]["alarm_rate"])
        return {
            **{key: document[key] for key in ("model", "distributions", "versions")},
            "score": dict(document["score"]),
            "weights": document["weights"],
            "channels": int(document["channels"]),
            "picture_size": _picture_size(document),
            "alarm_rate": rate,
            "held_out": len(scores),
            "threshold": conformal.threshold(scores, rate),
        }


def _unpacked(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    source = str(path)
    document, tensors = file_format.unpack(map_file(Path(path), source), source)
    if document.get("kind") != KIND:
        raise WeightsError(
            f"{source} is not a detector; expected a file that AnomalyDetector.save or "
            "'convae-zoo detect fit' wrote"
        )
    return document, tensors


@contextlib.contextmanager
def _readable(source: str) -> Iterator[None]:
    """Turn what a wrong document leads to into a `WeightsError`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, ZooError):
            raise
        raise WeightsError(
            f"{source}: its metadata does not describe a detector ({reason(error)})"
        ) from error


def _restored(
    document: Mapping[str, Any], tensors: Mapping[str, Tensor], source: str, device: str
) -> Stored:
    choose_device(device)
    model = place(_model(document, tensors, source), device)
    score = restore_score(document["score"], _without(_SCORE, tensors), model.device, source)
    table = document["table"]
    count, names = document["features"]
    results = _without(_CALIBRATION, tensors)
    return Stored(
        arguments={name: _from_json(value) for name, value in document["arguments"].items()},
        model_name=document["model_name"],
        weights=document["weights"],
        scorer=Scorer(
            model=model,
            score=score,
            layout=_layout(document, model),
        ),
        calibration=Calibration(
            scores=_array(results["scores"]),
            peaks=_array(results["peaks"]) if "peaks" in results else None,
        ),
        intake=Intake(
            channels=int(document["channels"]),
            table=None
            if table is None
            else Table(tuple(table["image_shape"]), float(table["low"]), float(table["high"])),
        ),
        features=(count, names),
    )


def _layout(document: Mapping[str, Any], model: Autoencoder) -> Layout:
    channels, size = int(document["layout"]["channels"]), _picture_size(document)
    if size is not None:
        height, width = size
        if not (1 <= height <= model.image_shape[1] and 1 <= width <= model.image_shape[2]):
            raise ValueError("pictures that are one image each must not be larger than the model's")
    if channels != document["channels"]:
        raise ValueError("the layout has another number of channels than the pictures")
    return Layout(channels=channels, picture_size=size, image_shape=model.image_shape)


def _picture_size(document: Mapping[str, Any]) -> tuple[int, int] | None:
    size = document["layout"]["picture_size"]
    if size is None:
        return None
    height, width = (int(each) for each in size)
    return height, width


def _model(document: Mapping[str, Any], tensors: Mapping[str, Tensor], source: str) -> Autoencoder:
    name = document["weights"]
    if name is None:
        state = _without(_MODEL, tensors)
        model = build_with_state(
            plan_of(document, source), state, source, hint=version_hint(document)
        )
    else:
        try:
            model = load_model(name)
        except ZooError as error:
            raise WeightsError(f"{source} needs the weights {name:.80}: {error}") from error
    found, wanted = _sha256(model, stored_tensors(model.state_dict())), document["model_sha256"]
    if found != wanted:
        raise WeightsError(
            f"{source} was fitted with another {name or 'model'} (sha256 {wanted[:_SHOWN]}) than "
            f"the one installed ({found[:_SHOWN]}); install that version again, or fit again"
        )
    return model


def _sha256(model: Autoencoder, state: Mapping[str, Tensor]) -> str:
    described = model.plan.describe()
    return file_format.digest({**described, "name": None}, state)


def registered_name(model: object) -> str | None:
    """Return a ``model`` argument if it is a name rather than a path or a module."""
    return model if isinstance(model, str) and not is_path(model) else None


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in tensors.items()}


def _without(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)}


def _array(values: Tensor) -> NDArray[np.float32]:
    if values.dtype != torch.float32 or values.ndim != 1 or not bool(values.isfinite().all()):
        raise ValueError("the held-out scores must be finite float32 numbers")
    return np.array(values.numpy())


def _to_json(value: Any) -> Any:
    """Turn an argument into JSON: a recipe into its fields; a random state into none."""
    if isinstance(value, Recipe):
        return {"recipe": attrs.asdict(value)}
    if isinstance(value, np.random.RandomState):
        return None
    if isinstance(value, np.generic):
        return value.item()
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"recipe"}:
        return Recipe(**value["recipe"])
    return tuple(value) if isinstance(value, list) else value

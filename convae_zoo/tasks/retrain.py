"""Retrain registered weights by their recipe, compare them with the stored ones, and store them.

Weights are stored in half precision where that costs less than `WORTH_STORING` of the MSE. The cost
is measured and stored with them; every stored figure is measured on the stored weights.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from convae_zoo import files
from convae_zoo.data import ImageSet, PictureSet
from convae_zoo.data.load import dataset_for, describe_sets, training_sets, training_split
from convae_zoo.errors import UsageError, WeightsError
from convae_zoo.evaluation import Evaluation, evaluate
from convae_zoo.evaluation.cost import training_flops
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.models.plan import plan_model
from convae_zoo.registry import find_model
from convae_zoo.registry.shipped_weights import INDEX, open_folder, replacing
from convae_zoo.registry.specs import ModelSpec, Recipe, WeightsSpec
from convae_zoo.runtime.device import choose_device, describe_device
from convae_zoo.training import train
from convae_zoo.weights.load import load_model
from convae_zoo.weights.save import save_model

LARGEST_FILE = 16 * 2**20
"""Maximum size in bytes of a weights file that a plugin ships."""

TOLERANCE = 0.01
"""Maximum relative difference between the MSE of a retrained model and the stored one."""

WORTH_STORING = 0.001
"""Maximum relative increase in MSE caused by half precision."""

METADATA_ROOM = 2**16
"""Bytes of a file that are reserved for its metadata."""

STORAGES = ("fp16", "bf16", "fp32")
"""How weights may be stored, in order of preference."""


@attrs.frozen(kw_only=True)
class Retrained:
    """A model that was trained by the recipe of its registered weights.

    Attributes:
        name: ``model.tag``.
        weights: the spec registered under that name.
        recipe: the recipe that it was trained with.
        model: in eval mode.
        evaluation: on the validation split, next to PCA.
        train: the training images.
        val: the validation images.
        training: what training cost: device, seconds, flops.
    """

    name: str
    weights: WeightsSpec
    recipe: Recipe
    model: Autoencoder
    evaluation: Evaluation
    train: ImageSet | PictureSet
    val: ImageSet
    training: Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Comparison:
    """One metric of the stored and of the retrained weights.

    Attributes:
        name: the metric's name.
        stored: its stored value; None if there is none.
        now: its value for the retrained weights.
    """

    name: str
    stored: float | None
    now: float

    @property
    def ratio(self) -> float | None:
        """The retrained weights' figure divided by the stored one."""
        return self.now / self.stored if self.stored else None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {**attrs.asdict(self), "ratio": self.ratio}


@attrs.frozen(kw_only=True)
class Stored:
    """A weights file that was written.

    Attributes:
        path: the file.
        bytes: its size.
        dtype: how the weights are stored.
        metrics: of the stored weights.
        cost: relative increase in MSE caused by storing them in this dtype.
    """

    path: Path
    bytes: int
    dtype: str
    metrics: Mapping[str, Any]
    cost: float


def retrain(
    name: str,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    data: str | Path | None = None,
    download: bool = False,
    device: str = "auto",
    progress: bool | None = None,
) -> Retrained:
    """Train a model from fresh weights by the recipe of its registered weights, and measure it.

    Args:
        name: ``model.tag``, whether trained or not.
        out: the run folder; without it nothing is written.
        resume: continue the run in `out`.
        data: the folder that holds the data, for datasets that read one.
        download: download missing data, for datasets that can.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: show a progress bar on stderr; by default if stderr is a terminal.

    Raises:
        UsageError: a name without a tag, weights whose card names another command, or a run folder
            that cannot be used.
        UnknownNameError: no model or tag has that name.
        DataError: the data is missing.
        TrainingError: the training failed.
    """
    spec, weights = _declared(name)
    recipe = weights.recipe or spec.recipe
    shape = plan_model(spec.name).image_shape
    source: dict[str, Any] = {"data": data, "download": download}
    train_set, val_set = training_sets(weights.dataset, recipe.augment, shape, **source)
    result = train(
        spec.name,
        dataset=(train_set, val_set),
        device=device,
        out=out,
        resume=resume,
        progress=progress,
        recipe=recipe,
    )
    if isinstance(train_set, PictureSet):  # PCA is fitted to the dataset's own images
        fitted = dataset_for(weights.dataset, training_split(weights.dataset), shape, **source)
    else:
        fitted = train_set
    evaluation = evaluate(
        result.model, val_set, corruption=recipe.corruption, train=fitted, device=device
    )
    return Retrained(
        name=name,
        weights=weights,
        recipe=recipe,
        model=result.model,
        evaluation=evaluation,
        train=train_set,
        val=val_set,
        training={
            "device": describe_device(choose_device(device)),
            "seconds": sum(epoch.seconds for epoch in result.epochs),
            "flops": training_flops(result.model) * result.images,
        },
    )


def compare(retrained: Retrained) -> list[Comparison]:
    """Compare the retrained model's metrics with the stored ones; MSE comes first."""
    stored = retrained.weights.metrics
    return [
        Comparison(name=figure, stored=stored.get(figure), now=value)
        for figure, value in figures(retrained.evaluation).items()
        if isinstance(value, float)
    ]


def check_reproduced(retrained: Retrained) -> None:
    """Refuse a model whose MSE is too far from the stored one.

    Raises:
        WeightsError: its MSE differs from the stored one by more than `TOLERANCE`.
    """
    ratio = compare(retrained)[0].ratio
    if ratio is None or abs(ratio - 1) <= TOLERANCE:
        return
    known = retrained.weights.card.get("dataset", {}).get("val_fingerprint")
    other_data = known not in {None, retrained.val.fingerprint}
    raise WeightsError(
        f"{retrained.name} was not reproduced: its mse is {ratio:.4f} times the stored one, and "
        f"a difference of {TOLERANCE:.0%} is allowed; "
        + (
            f"it was measured on other images of {retrained.val.name} than the stored one"
            if other_data
            else "the recipe, the code or the machine differs"
        )
    )


def store(retrained: Retrained, folder: str | Path) -> Stored:
    """Write a model and its card to a plugin's ``weights`` folder.

    Args:
        retrained: the model.
        folder: the folder; created if it is missing. The file ``model.tag.safetensors`` and the
            index that registration reads are written there.

    Raises:
        WeightsError: no storage makes the file small enough.
        UsageError: another process stores weights there.
        FileError: the folder cannot be written.
    """
    open_folder(folder)
    with files.claim_output(Path(folder) / INDEX):  # two would lose each other's entry
        return _store(retrained, folder)


def _store(retrained: Retrained, folder: str | Path) -> Stored:
    for left in Path(folder).glob(".tmp-*"):  # by a process that was killed
        left.unlink(missing_ok=True)
    dataset = describe_sets(retrained.train, retrained.val)
    training = dict(retrained.training)
    exact = retrained.evaluation
    with tempfile.TemporaryDirectory() as scratch:
        dtype, model, evaluation = _smallest_good(retrained, Path(scratch))
        evaluation = attrs.evolve(evaluation, pca=exact.pca, pca_images=exact.pca_images)
        metrics = figures(evaluation)
        cost = evaluation.model.mse / exact.model.mse - 1 if exact.model.mse else 0.0
        storage = {
            "dtype": dtype,
            "mse_fp32": exact.model.mse,
            "mse_stored": evaluation.model.mse,
            "cost": cost,
        }
        written = Path(scratch, "stored.safetensors")
        save_model(
            model,
            written,
            dtype=dtype,
            recipe=retrained.recipe,
            dataset=dataset,
            metrics=metrics,
            license=retrained.weights.license,
            extra={"storage": storage, "training": training},
        )
        data = written.read_bytes()
    card = {"dataset": dataset, "storage": {**storage, "bytes": len(data)}, "training": training}
    digest = hashlib.sha256(data).hexdigest()
    path = Path(folder) / f"{retrained.name}.safetensors"
    entry = {"sha256": digest, "metrics": metrics, "card": card}
    with replacing(folder, retrained.name, entry):
        files.write_bytes(path, data)
    return Stored(path=path, bytes=len(data), dtype=dtype, metrics=metrics, cost=cost)


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """Return the metrics of an evaluation as a flat mapping, MSE first."""
    found: dict[str, Any] = attrs.asdict(evaluation.model)
    if evaluation.pca is not None:
        found |= {f"pca_{name}": value for name, value in attrs.asdict(evaluation.pca).items()}
        if evaluation.ratio_to_pca is not None:
            found["ratio_to_pca"] = evaluation.ratio_to_pca
    return found | evaluation.figures | {"images": evaluation.images}


def _declared(name: str) -> tuple[ModelSpec, WeightsSpec]:
    spec, weights = find_model(name)
    if weights is None:
        tags = " or ".join(repr(f"{spec.name}.{w.tag}") for w in spec.weights)
        raise UsageError(
            f"{name!r} is a model without a tag; "
            + (f"retrain {tags}" if tags else f"'convae-zoo train {name}' trains it")
        )
    if command := weights.card.get("training", {}).get("command"):
        raise UsageError(
            f"{name} was not trained by its recipe but by '{command}'; run that, or "
            f"'convae-zoo train {spec.name}' for the recipe"
        )
    return spec, weights


def _smallest_good(retrained: Retrained, scratch: Path) -> tuple[str, Autoencoder, Evaluation]:
    """Choose the dtype to store a model in; return it, the reloaded model and its evaluation.

    It is the first dtype that fits the file and increases the MSE by at most `WORTH_STORING`; if
    there is none, the one with the lowest MSE of those that fit.
    """
    device = str(retrained.model.device)
    found: list[tuple[str, Autoencoder, Evaluation]] = []
    for dtype in STORAGES:
        path = scratch / f"{dtype}.safetensors"
        try:
            save_model(retrained.model, path, dtype=dtype)
        except WeightsError:
            if dtype == "fp32":  # the last resort
                raise
            continue  # a value is out of the dtype's range
        if path.stat().st_size > LARGEST_FILE - METADATA_ROOM:
            continue
        model = load_model(path)
        measured = evaluate(
            model,
            retrained.val,
            corruption=retrained.recipe.corruption,
            baseline=False,
            device=device,
        )
        found.append((dtype, model, measured))
        if measured.model.mse <= retrained.evaluation.model.mse * (1 + WORTH_STORING):
            return found[-1]
    if not found:
        raise WeightsError(
            f"{retrained.name} does not fit a file of {LARGEST_FILE / 2**20:g} MiB in any of "
            f"{', '.join(STORAGES)}; make the model smaller, or push it to the Hub"
        )
    return min(found, key=lambda each: each[2].model.mse)

"""Comparison of models on the same images, with PCA of many sizes as the baseline."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch

from convae_zoo.data import ImageSet, pixels
from convae_zoo.data.load import train_and_val
from convae_zoo.errors import UsageError
from convae_zoo.evaluation.cost import count_parameters, image_flops
from convae_zoo.evaluation.measure import evaluate, ratio_of
from convae_zoo.evaluation.metrics import Metrics, measure
from convae_zoo.evaluation.pca import Baseline, fit_pca, fitted_images
from convae_zoo.evaluation.records import Records
from convae_zoo.models.autoencoder import Autoencoder, common_image_shape
from convae_zoo.models.plan import plan_model
from convae_zoo.registry import find_model, list_models
from convae_zoo.registry.expressions import parse_entry
from convae_zoo.runtime.modes import BATCH_SIZE

_STEP = 2.0 ** (1 / 2)
"""The ratio of one PCA size to the next."""


@attrs.frozen(kw_only=True)
class Row:
    """A model's row.

    Attributes:
        name: the name that it was loaded by.
        latent_floats: floats of one latent.
        parameters: number of parameters.
        flops: floating-point operations of encoding and decoding one image.
        metrics: on the split.
        pca_mse: the MSE of PCA with as many components as a latent has floats; None if there is
            no such PCA.
    """

    name: str
    latent_floats: int
    parameters: int
    flops: int
    metrics: Metrics
    pca_mse: float | None

    @property
    def ratio_to_pca(self) -> float | None:
        """The model's MSE divided by PCA's; None if there is no PCA or PCA is exact."""
        return None if self.pca_mse is None else ratio_of(self.metrics.mse, self.pca_mse)


@attrs.frozen(kw_only=True)
class PcaPoint:
    """PCA of one size: its latent floats, its operations per image, and its metrics."""

    latent_floats: int
    flops: int
    metrics: Metrics


@attrs.frozen(kw_only=True)
class Leaderboard(Records):
    """The result of `leaderboard`.

    Attributes:
        dataset: the dataset's name.
        split: the split that was measured.
        images: number of images in the split.
        rows: the models, by ascending MSE.
        pca: PCA of several sizes, in ascending order; empty if there is none.
    """

    dataset: str
    split: str
    images: int
    rows: tuple[Row, ...]
    pca: tuple[PcaPoint, ...]

    def to_json(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        rows = [{**attrs.asdict(row), "ratio_to_pca": row.ratio_to_pca} for row in self.rows]
        return {**attrs.asdict(self), "rows": rows}

    def to_records(self) -> list[dict[str, Any]]:
        """Return a record for each model, the best first."""
        return [
            {
                "name": row.name,
                "latent_floats": row.latent_floats,
                "flops": row.flops,
                "parameters": row.parameters,
                **attrs.asdict(row.metrics),
                "ratio_to_pca": row.ratio_to_pca,
            }
            for row in self.rows
        ]

    def __repr__(self) -> str:
        """Return what was compared on which images."""
        return (
            f"Leaderboard({len(self.rows)} models on {self.images:,} images of {self.dataset}, "
            f"split {self.split})"
        )


def trained_on(dataset: str) -> list[str]:
    """List the registered weights that were trained on a dataset, with any config values."""
    name = parse_entry(dataset, "dataset").name
    found = {name: find_model(name)[1] for name in list_models(pretrained=True)}
    return [full for full, weights in found.items() if weights and weights.dataset_name == name]


def leaderboard(
    models: Mapping[str, Autoencoder],
    dataset: str,
    *,
    data: str | Path | None = None,
    download: bool = False,
    device: str = "auto",
) -> Leaderboard:
    """Measure models on a dataset's validation split, and PCA of sizes around theirs.

    PCA is fitted once on the train split; smaller sizes use its first components.

    Args:
        models: autoencoders of one image shape, by name.
        dataset: a dataset's name.
        data: the folder that holds the data, for datasets that read one.
        download: download missing data, for datasets that can.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UnknownNameError: no such dataset.
        UsageError: there are no models, or two differ in their image shape.
        DataError: the data is missing or cannot be fitted to the models.
    """
    if not models:
        raise UsageError(
            f"there are no models to compare: no weights trained on {dataset!r} are installed and "
            "none were given; pass weights files or run folders"
        )
    shape = common_image_shape(models.items())
    train, val = train_and_val(dataset, shape, data=data, download=download)
    evaluations = {
        name: evaluate(model, val, baseline=False, device=device) for name, model in models.items()
    }
    sizes = {evaluation.latent_floats for evaluation in evaluations.values()}
    pca = _pca_points(train, val, sizes)
    pca_mse = {point.latent_floats: point.metrics.mse for point in pca}
    rows = [
        Row(
            name=name,
            latent_floats=evaluations[name].latent_floats,
            parameters=count_parameters(model),
            flops=image_flops(model),
            metrics=evaluations[name].model,
            pca_mse=pca_mse.get(evaluations[name].latent_floats),
        )
        for name, model in models.items()
    ]
    return Leaderboard(
        dataset=dataset,
        split=val.split,
        images=len(val),
        rows=tuple(sorted(rows, key=lambda row: (row.metrics.mse, row.name))),
        pca=tuple(pca),
    )


def fits(name: str, shape: tuple[int, int, int]) -> bool:
    """Return whether a registered model has this image shape."""
    return plan_model(name.partition(".")[0]).image_shape == shape


def _pca_points(train: ImageSet, val: ImageSet, sizes: set[int]) -> list[PcaPoint]:
    """Measure PCA of these sizes and of others, from half the minimum to twice the maximum."""
    values = math.prod(val.image_shape)
    limit = min(values, fitted_images(len(train), values))
    chosen = {size for size in {*sizes, *_between(min(sizes) / 2, max(sizes) * 2)} if size <= limit}
    if not chosen:
        return []
    largest = fit_pca(train.images, max(chosen))
    return [
        PcaPoint(
            latent_floats=size,
            flops=4 * values * size,  # two products of a vector and a matrix
            metrics=_measure_pca(attrs.evolve(largest, components=largest.components[:size]), val),
        )
        for size in sorted(chosen)
    ]


def _between(low: float, high: float) -> set[int]:
    steps = math.ceil(math.log(high / low, _STEP))
    return {max(1, round(low * _STEP**i)) for i in range(steps + 1)}


def _measure_pca(pca: Baseline, val: ImageSet) -> Metrics:
    batches: Sequence[torch.Tensor] = torch.split(val.images, BATCH_SIZE)
    pairs = (pixels.to_float(batch, (0.0, 1.0)) for batch in batches)
    return measure(((x, pca.reconstruct(x)) for x in pairs), (0.0, 1.0))

"""Leaderboards of the gallery: measured where the data is at hand, else from the weights' cards."""

import math
from collections.abc import Mapping

from convae_zoo.errors import DataError, UsageError
from convae_zoo.evaluation.cost import count_parameters, image_flops
from convae_zoo.evaluation.leaderboard import Leaderboard, PcaPoint, Row, leaderboard
from convae_zoo.evaluation.metrics import Metrics
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.registry import find_model
from convae_zoo.registry.specs import WeightsSpec
from convae_zoo.visuals.gallery.content import Board

_FIGURES = ("mse", "mse_in_range", "psnr", "ssim", "sharpness")


def boards(
    models: Mapping[str, Autoencoder],
    weights: Mapping[str, WeightsSpec],
    *,
    measure: bool,
    device: str,
) -> list[Board]:
    """Compare models by the dataset that their weights were trained on, and by image shape.

    Args:
        models: by the name of their weights.
        weights: their specs.
        measure: measure on the datasets that need no download; else, and on others, take the
            figures that the weights' cards state.
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    groups: dict[tuple[str, tuple[int, int, int]], dict[str, Autoencoder]] = {}
    for name, model in models.items():
        groups.setdefault((weights[name].dataset, model.image_shape), {})[name] = model
    found = []
    for (dataset, _), group in groups.items():
        made = _measured(group, dataset, device) if measure else None
        if made is not None:
            found.append(Board(board=made, measured=True))
        else:
            found += [Board(board=stated, measured=False) for stated in _stated(group, weights)]
    return sorted(found, key=lambda each: (not each.measured, -len(each.board.rows)))


def _measured(models: Mapping[str, Autoencoder], dataset: str, device: str) -> Leaderboard | None:
    try:
        return leaderboard(models, dataset, device=device)
    except (DataError, UsageError):  # its data is not at hand
        return None


def _stated(
    models: Mapping[str, Autoencoder], weights: Mapping[str, WeightsSpec]
) -> list[Leaderboard]:
    """Collect what the cards state, by the dataset that each was measured on."""
    datasets = sorted({weights[name].measured_on for name in models})
    found = (_stated_on(dataset, models, weights) for dataset in datasets)
    return [board for board in found if board is not None]


def _stated_on(
    dataset: str, models: Mapping[str, Autoencoder], weights: Mapping[str, WeightsSpec]
) -> Leaderboard | None:
    """Collect what the cards state of a dataset; None if none states anything."""
    rows, pca = [], {}
    for name, model in models.items():
        if weights[name].measured_on != dataset:
            continue
        stated = weights[name].metrics
        if "mse" not in stated or "psnr" not in stated:
            continue
        floats, values = math.prod(model.latent_shape), math.prod(model.image_shape)
        rows.append(
            Row(
                name=name,
                latent_floats=floats,
                parameters=count_parameters(model),
                flops=image_flops(model),
                metrics=_metrics(stated),
                pca_mse=stated.get("pca_mse"),
            )
        )
        if "pca_mse" in stated and stated.get("ratio_to_pca") is not None:  # else it is exact
            pca[floats] = PcaPoint(
                latent_floats=floats,
                flops=4 * values * floats,  # two products of a vector and a matrix
                metrics=_metrics(stated, "pca_"),
            )
    if not rows:
        return None
    return Leaderboard(
        dataset=dataset,
        split="val",
        images=int(max(weights[row.name].metrics.get("images", 0) for row in rows)),
        rows=tuple(sorted(rows, key=lambda row: (row.metrics.mse, row.name))),
        pca=tuple(pca[floats] for floats in sorted(pca)),
    )


def _metrics(stated: Mapping[str, float], prefix: str = "") -> Metrics:
    return Metrics(**{name: stated.get(prefix + name) for name in _FIGURES})  # type: ignore[arg-type]  # a card may lack some


def spec_of(name: str) -> WeightsSpec:
    """Return the spec of registered weights.

    Raises:
        UnknownNameError: there are none of that name.
    """
    weights = find_model(name)[1]
    assert weights is not None, name  # noqa: S101 - the caller lists names with a tag
    return weights

"""``convae-zoo detect fit``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convae_zoo.cli.options import (
    data_options,
    device_option,
    max_pixels_option,
    model_settings_option,
    normal_class_option,
    overwrite_option,
    read_settings,
    recipe_option,
)
from convae_zoo.cli.output import print_fields
from convae_zoo.cli.outputs import claimed
from convae_zoo.errors import DataError, UsageError

if TYPE_CHECKING:
    from convae_zoo.data import ImageSet


@click.command(name="fit")
@click.argument("model")
@click.option(
    "--dataset",
    metavar="NAME",
    help="A dataset instead of a folder of images; its train split is used.",
)
@data_options
@normal_class_option
@click.option("--out", required=True, type=click.Path(), help="The detector file to write.")
@overwrite_option
@click.option(
    "--score",
    metavar="EXPR",
    help="An anomaly score, optionally with config values: 'combined(smoothing=2)'.",
)
@click.option(
    "--alarm-rate",
    type=float,
    default=0.01,
    show_default=True,
    help="Share of normal images that may be flagged.",
)
@click.option("--no-train", is_flag=True, help="Use MODEL's trained weights as they are.")
@recipe_option
@click.option("--epochs", type=click.IntRange(1), help="Passes over the images.")
@model_settings_option
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Seed of the split and the training.",
)
@max_pixels_option
@device_option
def command(
    *,
    model: str,
    dataset: str | None,
    data: str | None,
    download: bool,
    normal_class: str | None,
    out: str,
    overwrite: bool,
    score: str | None,
    alarm_rate: float,
    no_train: bool,
    recipe: str | None,
    epochs: int | None,
    settings: tuple[str, ...],
    seed: int,
    max_pixels: int,
    device: str,
) -> None:
    """Train MODEL on normal images, fit a score, and set the alarm threshold.

    The images are those of the folder --data, at their full size, or of a dataset. In a folder with
    the layout of MVTec AD only train/good is used. Part of them is held out to set the threshold,
    so that of new normal images at most the alarm rate is flagged, on average.

    MODEL is a model's name, or trained weights: NAME.TAG, a run folder or a .safetensors file.

    \b
    Example: convae-zoo detect fit residual-200 --data good --out detector.safetensors
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.tasks.detect import AnomalyDetector

    if no_train and (recipe is not None or epochs is not None or settings):
        raise UsageError(
            "--no-train uses MODEL's weights as they are; leave out --recipe, --epochs and --set"
        )
    overrides = read_settings(settings)
    chosen: dict[str, Any] = {} if score is None else {"score": score}
    with claimed(out, models=[model], data=data, overwrite=overwrite):
        detector = AnomalyDetector(
            model,
            alarm_rate=alarm_rate,
            train=not no_train,
            recipe=recipe,
            changes={} if epochs is None else {"epochs": epochs},
            overrides=overrides,
            random_state=seed,
            max_pixels=max_pixels,
            device=device,
            verbose=True,
            **chosen,
        )
        images = _images(dataset, data, normal_class, download=download)
        detector.fit(images).save(out)
    print_fields(
        [
            ("images", f"{len(images):,} normal, {detector.n_calibration_:,} of them held out"),
            ("model", detector.model_.name),
            ("score", detector.score),
            ("threshold", f"{detector.threshold_:.4g} for an alarm rate of {alarm_rate:g}"),
            ("detector", out),
        ],
        indent=0,
    )


def _images(
    dataset: str | None, data: str | None, normal_class: str | None, *, download: bool
) -> "ImageSet | list[Path]":
    """Return normal images: a dataset's train split, or the files of a folder."""
    from convae_zoo.data.listing import list_images
    from convae_zoo.data.load import load_dataset
    from convae_zoo.data.one_class import one_class

    if dataset is not None:
        return one_class(load_dataset(dataset, data=data, download=download), normal_class)
    if data is None:
        raise UsageError("detect fit needs normal images: pass --data FOLDER or --dataset NAME")
    if normal_class is not None or download:
        raise UsageError("--normal-class and --download go with --dataset NAME")
    root = Path(data)
    good = root / "train" / "good"
    if not good.is_dir() and (root / "ground_truth").is_dir():
        raise DataError(
            f"folder {data} has ground_truth, as in the layout of MVTec AD, but no train/good, the "
            "normal images; name the folder of the normal images"
        )
    return [path for _, path in list_images(good if good.is_dir() else root)]

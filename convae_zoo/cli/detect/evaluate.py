"""``convae-zoo detect evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from convae_zoo.cli.options import (
    dataset_options,
    device_option,
    json_option,
    normal_class_option,
    overwrite_option,
)
from convae_zoo.cli.output import print_json, print_line, print_table
from convae_zoo.cli.outputs import claimed

if TYPE_CHECKING:
    from torch import Tensor

    from convae_zoo.data import ImageSet
    from convae_zoo.evaluation.detection import DetectionMetrics
    from convae_zoo.tasks.detect.detector import AnomalyDetector
    from convae_zoo.tasks.detect.evaluate import Detection
    from convae_zoo.visuals import Row

PICTURES = ("scores.png", "examples.png", "misses.png")
"""The files in the folder ``--out``."""

SHOWN = 10
"""Images in the picture of examples, and in that of the worst misses."""


@click.command(name="evaluate")
@click.argument("file")
@dataset_options
@normal_class_option
@click.option("--split", help="The split to measure; by default the dataset's last.")
@click.option("--alarm-rate", type=float, help="Another alarm rate than the detector's own.")
@click.option("--no-baseline", is_flag=True, help="Do not fit the baselines.")
@click.option(
    "--out",
    type=click.Path(),
    help="A folder for scores.png, a histogram, and examples.png and misses.png, with maps.",
)
@overwrite_option
@device_option
@json_option
def command(
    *,
    file: str,
    dataset: str,
    data: str | None,
    download: bool,
    normal_class: str | None,
    split: str | None,
    alarm_rate: float | None,
    no_baseline: bool,
    out: str | None,
    overwrite: bool,
    device: str,
    as_json: bool,
) -> None:
    """Measure the detector FILE on a dataset with normal and anomalous images.

    The normal images are those of the class good, as in the layout of MVTec AD, or of
    --normal-class. Where the dataset has masks, the anomaly maps are measured too. PCA with as many
    components as a latent has floats, nearest neighbours and a one-class SVM are fitted to the
    normal images of the dataset's first split.

    \b
    Example: convae-zoo detect evaluate detector.safetensors --dataset anomaly-folder --data bottle
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.data.load import load_dataset, splits_of
    from convae_zoo.runtime.progress import stage_progress
    from convae_zoo.tasks.detect import AnomalyDetector
    from convae_zoo.tasks.detect.evaluate import evaluate_detector

    folder = None if out is None else Path(out)
    pictures = [] if folder is None else [str(folder / name) for name in PICTURES]
    main = pictures[0] if pictures else None
    with claimed(main, models=[file], data=data, overwrite=overwrite, also=pictures[1:]):
        detector = AnomalyDetector.load(file, device=device)
        if alarm_rate is not None:
            detector.set_params(alarm_rate=alarm_rate)
        first, *_, last = (*splits_of(dataset), *splits_of(dataset)[-1:])
        images = load_dataset(dataset, split or last, data=data, download=download)
        train = None if no_baseline else load_dataset(dataset, first, data=data, download=download)
        with stage_progress() as progress:
            found = evaluate_detector(
                detector, images, normal_class=normal_class, train=train, progress=progress
            )
        if as_json:
            print_json(found.to_json())
        else:
            _print(found, detector)
        if folder is not None:
            _draw(folder, found, detector, images)
            if not as_json:
                click.echo(f"pictures  {folder}: {', '.join(PICTURES)}")


def _print(found: "Detection", detector: "AnomalyDetector") -> None:
    bad = int(found.anomalous.sum())
    print_line(
        f"{detector.model_.name}, score {detector.score}, on {found.dataset}, split {found.split}: "
        f"{len(found.scores) - bad:,} normal and {bad:,} anomalous images"
    )
    rows = [("detector", *_cells(found.detector))]
    rows += [(name, *_cells(metrics)) for name, metrics in found.baselines.items()]
    head = ("", "auroc", "average precision", "f1", "detected", "pixel auroc", "aupro")
    print_table(head, rows)
    low, high = found.alarms.likely
    print_line(
        f"false alarms: {found.alarms.observed:.2%} of the normal images; expected "
        f"{found.alarms.expected:.2%}, with 95% probability {low:.2%} to {high:.2%}, for an alarm "
        f"rate of {found.rate:g} from {detector.n_calibration_:,} held-out images"
    )


def _cells(metrics: "DetectionMetrics") -> tuple[str, ...]:
    values = (
        metrics.auroc,
        metrics.average_precision,
        metrics.f1,
        metrics.detected,
        metrics.pixel_auroc,
        metrics.aupro,
    )
    return tuple("-" if value is None else f"{value:.4f}" for value in values)


def _draw(
    folder: Path, found: "Detection", detector: "AnomalyDetector", images: "ImageSet"
) -> None:
    """Draw the histogram of the scores, examples of each class, and the worst misses."""
    from convae_zoo import visuals
    from convae_zoo.tasks.detect.evaluate import examples, worst_misses

    visuals.save_histogram(
        folder / "scores.png",
        found.scores[~found.anomalous],
        found.scores[found.anomalous],
        found.threshold,
        title=f"{found.dataset}, split {found.split}: anomaly scores",
    )
    for file, title, chosen in (
        ("examples.png", "Examples", examples(images, SHOWN)),
        ("misses.png", "The worst misses", worst_misses(found, SHOWN)),
    ):
        visuals.save_rows(
            folder / file,
            _rows(found, detector, images, chosen),
            names=[_caption(found, images, index) for index in chosen.tolist()],
            title=f"{title}; above each image its class, and whether the detector flags it",
        )


def _caption(found: "Detection", images: "ImageSet", index: int) -> str:
    flagged = bool(found.scores[index] > found.threshold)
    return f"{images.label_name(index)}: {'flagged' if flagged else 'passed'}"


def _rows(
    found: "Detection", detector: "AnomalyDetector", images: "ImageSet", chosen: "Tensor"
) -> "list[Row]":
    """Return images, and where there are any their anomaly maps and their masks, in one size."""
    import torch

    from convae_zoo.visuals.heatmap import draw_heatmap

    pictures, peak = images.images[chosen], detector.map_threshold_
    if found.maps is None or peak is None:
        return [("image", pictures)]
    level = detector.calibration_.level
    pairs = zip(pictures, found.maps[chosen], strict=True)
    heat = torch.stack([draw_heatmap(picture, values, level, peak) for picture, values in pairs])
    factor = heat.shape[-1] // pictures.shape[-1]

    def enlarged(small: "Tensor") -> "Tensor":
        large = small.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        return large.expand(-1, 3, -1, -1)

    rows = [("image", enlarged(pictures)), ("anomaly map", heat)]
    if images.masks is not None:
        rows.append(("mask", enlarged(images.masks[chosen][:, None].to(torch.uint8) * 255)))
    return rows

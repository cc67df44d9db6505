"""Does the promised alarm rate hold? ``python -m benchmarks.alarm_rate --data FOLDER``.

Normal images of one kind are split at random, over and over: a detector is fitted to one part,
which includes setting its threshold, and the other part is scored. The fraction of these above the
threshold is the false-alarm rate, whose mean over the splits must be at most the promised one.

The file is written after each split, and a second call goes on where the first ended.
"""

import json
import statistics
from pathlib import Path
from typing import Any

import click
import torch

import convae_zoo as zoo
from convae_zoo.bench.document import device_name
from convae_zoo.data.one_class import one_class
from convae_zoo.files import write_text

RATES = (0.01, 0.05)
DATASETS = ("fashion-mnist", "photos")

Observed = dict[str, dict[str, list[float]]]
"""False-alarm rates of all splits, by dataset and promised rate."""


def pools(dataset: str, data: str | None) -> list[torch.Tensor]:
    """Return all images of each class of Fashion-MNIST, or of photos, in one tensor each."""
    sets = [zoo.load_dataset(dataset, split, data=data) for split in ("train", "val")]
    if dataset == "photos":
        return [torch.cat([images.images for images in sets])]
    classes = range(len(sets[0].class_names))
    return [torch.cat([one_class(images, c).images for images in sets]) for c in classes]


def measure(dataset: str, split: int, everything: torch.Tensor, images: int) -> list[float]:
    """Fit a detector to some images and score others: false-alarm rates at `RATES`."""
    order = torch.randperm(len(everything), generator=torch.Generator().manual_seed(split))
    known, new = (everything[order[i * images : (i + 1) * images]] for i in range(2))
    detector = zoo.AnomalyDetector(random_state=split, device="cpu").fit(
        zoo.ImageSet(name=dataset, split="known", images=known)
    )
    scores = detector.score_samples(zoo.ImageSet(name=dataset, split="new", images=new))
    rates = []
    for rate in RATES:
        detector.set_params(alarm_rate=rate)
        rates.append(float((scores < detector.offset_).mean()))
    return rates


def report(observed: Observed, images: int) -> dict[str, Any]:
    """Return what the file holds."""
    return {
        "splits": {dataset: len(rates[str(RATES[0])]) for dataset, rates in observed.items()},
        "fitted_images": images,
        "scored_images": images,
        "device_name": device_name(torch.device("cpu")),
        "torch": torch.__version__,
        "mean": {
            dataset: {rate: statistics.fmean(values) for rate, values in rates.items()}
            for dataset, rates in observed.items()
        },
        "observed": observed,
    }


def begun(out: Path | None, images: int) -> Observed:
    """Return the rates in a file that an earlier call wrote, or none."""
    if out is None or not out.exists():
        return {}
    found = json.loads(out.read_text(encoding="utf-8"))
    if found["fitted_images"] != images:
        raise click.UsageError(f"{out} was measured with --images {found['fitted_images']}")
    observed: Observed = found["observed"]
    return observed


@click.command()
@click.option("--data", type=click.Path(), help="Folder that holds Fashion-MNIST.")
@click.option("--dataset", "datasets", multiple=True, type=click.Choice(DATASETS), default=DATASETS)
@click.option("--splits", default=20, show_default=True)
@click.option("--images", default=1500, show_default=True, help="Images to fit to, and to score.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON file to write or go on with.")
def main(
    data: str | None, datasets: tuple[str, ...], splits: int, images: int, out: Path | None
) -> None:
    """Measure false-alarm rates over random splits of photos and of Fashion-MNIST's classes."""
    observed = begun(out, images)
    for dataset in datasets:
        rates = observed.setdefault(dataset, {str(rate): [] for rate in RATES})
        kinds = pools(dataset, data if dataset == "fashion-mnist" else None)
        for split in range(len(rates[str(RATES[0])]), splits):
            found = measure(dataset, split, kinds[split % len(kinds)], images)
            for values, value in zip(rates.values(), found, strict=True):
                values.append(value)
            click.echo(f"{dataset} {split}: {found}", err=True)
            if out is not None:
                write_text(out, json.dumps(report(observed, images), indent=2) + "\n")
    click.echo(json.dumps(report(observed, images)["mean"], indent=2))


if __name__ == "__main__":
    main()

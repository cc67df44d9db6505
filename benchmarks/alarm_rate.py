"""Does the promised alarm rate hold? ``python -m benchmarks.alarm_rate --data FOLDER``.

Normal images of one kind are split at random, over and over: a detector is fitted to one part,
which includes setting its threshold, and the other part is scored. The fraction of these above the
threshold is the false-alarm rate, whose mean over the splits must be at most the promised one.
"""

import json
import statistics
from pathlib import Path

import click
import torch

import convae_zoo as zoo
from benchmarks.conftest import device_name
from convae_zoo.data.one_class import one_class

RATES = (0.01, 0.05)


def pools(dataset: str, data: str | None) -> list[torch.Tensor]:
    """Return all images of each class of Fashion-MNIST, or of photos, in one tensor each."""
    sets = [zoo.load_dataset(dataset, split, data=data) for split in ("train", "val")]
    if dataset == "photos":
        return [torch.cat([images.images for images in sets])]
    classes = range(len(sets[0].class_names))
    return [torch.cat([one_class(images, c).images for images in sets]) for c in classes]


@click.command()
@click.option("--data", type=click.Path(), help="Folder that holds Fashion-MNIST.")
@click.option("--splits", default=20, show_default=True)
@click.option("--images", default=1500, show_default=True, help="Images to fit to, and to score.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON file to write.")
def main(data: str | None, splits: int, images: int, out: Path | None) -> None:
    """Measure false-alarm rates over random splits of photos and of Fashion-MNIST's classes."""
    found: dict[str, dict[str, list[float]]] = {}
    for dataset, folder in (("fashion-mnist", data), ("photos", None)):
        observed: dict[str, list[float]] = {str(rate): [] for rate in RATES}
        kinds = pools(dataset, folder)
        for split in range(splits):
            everything = kinds[split % len(kinds)]
            order = torch.randperm(len(everything), generator=torch.Generator().manual_seed(split))
            known, new = (everything[order[i * images : (i + 1) * images]] for i in range(2))
            detector = zoo.AnomalyDetector(random_state=split, device="cpu").fit(
                zoo.ImageSet(name=dataset, split="known", images=known)
            )
            scores = detector.score_samples(zoo.ImageSet(name=dataset, split="new", images=new))
            for rate in RATES:
                detector.set_params(alarm_rate=rate)
                observed[str(rate)].append(float((scores < detector.offset_).mean()))
            click.echo(f"{dataset} {split}: {[v[-1] for v in observed.values()]}", err=True)
        found[dataset] = observed
    report = {
        "splits": splits,
        "fitted_images": images,
        "scored_images": images,
        "held_out_of_these": detector.n_calibration_,
        "device_name": device_name(torch.device("cpu")),
        "torch": torch.__version__,
        "mean": {
            dataset: {rate: statistics.fmean(values) for rate, values in rates.items()}
            for dataset, rates in found.items()
        },
        "observed": found,
    }
    click.echo(json.dumps(report["mean"], indent=2))
    if out is not None:
        out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

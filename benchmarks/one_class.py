"""One class normal, nine anomalous: ``python -m benchmarks.one_class --data FOLDER``.

For every class of a dataset, the default detector learns from the training images of the class
alone, and the whole test split is scored. Nothing is chosen by its labels: the model is that of the
last epoch. With the first seed all other scores are fitted to the same model, and the baselines to
the same images. The figures are AUROC of images.
"""

import json
import statistics
import time
from pathlib import Path

import click
import torch

import convae_zoo as zoo
from benchmarks.conftest import device_name
from convae_zoo.data.one_class import anomalous, one_class
from convae_zoo.evaluation.detection import measure_detection
from convae_zoo.evaluation.detection_baselines import detection_baselines

COMPONENTS = 64
DETECTOR = "default detector"


class Table:
    """AUROC by name, class and seed.

    Args:
        test: the images that are scored.
    """

    def __init__(self, test: zoo.ImageSet) -> None:
        self.test = test
        self.found: dict[str, dict[str, dict[str, float]]] = {}

    def note(self, name: str, label: int, seed: int, scores: torch.Tensor) -> None:
        """Measure scores of all test images, higher is more anomalous."""
        auroc = measure_detection(scores, anomalous(self.test, label)).auroc
        self.found.setdefault(name, {}).setdefault(str(label), {})[str(seed)] = auroc
        click.echo(f"class {label}, seed {seed}, {name}: {auroc:.4f}", err=True)

    def note_detector(
        self, name: str, label: int, seed: int, detector: zoo.AnomalyDetector
    ) -> None:
        """Score all test images with a detector, and measure it."""
        self.note(name, label, seed, -torch.from_numpy(detector.score_samples(self.test)))

    def means(self) -> dict[str, dict[str, float]]:
        """Average over seeds within each class, then over classes; the best first."""
        table = {}
        for name, classes in self.found.items():
            means = {label: statistics.fmean(seeds.values()) for label, seeds in classes.items()}
            table[name] = {"mean": statistics.fmean(means.values()), **means}
        return dict(sorted(table.items(), key=lambda row: -row[1]["mean"]))


def compare(table: Table, detector: zoo.AnomalyDetector, normal: zoo.ImageSet, label: int) -> None:
    """Note the baselines and all scores, on the same images and with the same model."""
    for name, values in detection_baselines(normal.images, table.test.images, COMPONENTS):
        table.note(name, label, 0, values)
    for name in zoo.list_scores():
        other = zoo.AnomalyDetector(
            detector.model_, train=False, score=name, random_state=0, device="cpu"
        )
        table.note_detector(f"score {name}", label, 0, other.fit(normal))


@click.command()
@click.option("--dataset", default="fashion-mnist", show_default=True)
@click.option("--data", type=click.Path(), help="Folder that holds the data.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--classes", help="Some classes only, such as 6,8,4.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON file to write.")
def main(dataset: str, data: str | None, seeds: int, classes: str | None, out: Path | None) -> None:
    """Measure the default detector, all scores and the baselines, class by class."""
    train, test = (zoo.load_dataset(dataset, split, data=data) for split in ("train", "val"))
    chosen = [int(c) for c in classes.split(",")] if classes else range(len(train.class_names))
    table, seconds = Table(test), []
    for seed in range(seeds):
        for label in chosen:
            normal = one_class(train, label)
            start = time.perf_counter()
            detector = zoo.AnomalyDetector(random_state=seed, device="cpu").fit(normal)
            seconds.append(time.perf_counter() - start)
            table.note_detector(DETECTOR, label, seed, detector)
            if seed == 0:
                compare(table, detector, normal, label)
    report = {
        "dataset": dataset,
        "test_images": len(test),
        "seeds": seeds,
        "device_name": device_name(torch.device("cpu")),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "fit_seconds": {"mean": statistics.fmean(seconds), "max": max(seconds)},
        "auroc": table.means(),
        "by_seed": table.found,
    }
    for name, row in table.means().items():
        figures = "  ".join(f"{value:.3f}" for key, value in row.items() if key != "mean")
        click.echo(f"{name:24s} {row['mean']:.4f}  {figures}")
    if out is not None:
        out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

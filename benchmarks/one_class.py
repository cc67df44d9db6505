"""One class normal, nine anomalous: ``python -m benchmarks.one_class --data FOLDER``.

For every class of a dataset, the default detector learns from the training images of the class
alone, and the whole test split is scored. Nothing is chosen by its labels: the model is that of the
last epoch. Each score is fitted to the same model, and the baselines to the same images. The
figures are AUROC of images.

The file is written after each class, and a second call goes on where the first ended.
"""

import itertools
import json
import statistics
import time
from pathlib import Path
from typing import Any

import attrs
import click
import torch

import convae_zoo as zoo
from convae_zoo.bench.document import device_name
from convae_zoo.data.one_class import anomalous, one_class
from convae_zoo.evaluation.detection import measure_detection
from convae_zoo.evaluation.detection_baselines import detection_baselines
from convae_zoo.files import write_text

COMPONENTS = 64
DETECTOR = "default detector"


@attrs.define
class Table:
    """AUROC by name, class and seed.

    Attributes:
        test: the images that are scored.
        auroc: by name, class and seed.
        seconds: how long the fit of the default detector took, by class and seed.
    """

    test: zoo.ImageSet
    auroc: dict[str, dict[str, dict[str, float]]] = attrs.field(factory=dict)
    seconds: dict[str, dict[str, float]] = attrs.field(factory=dict)

    def has(self, label: int, seed: int) -> bool:
        """Whether a class and seed have been measured."""
        return str(seed) in self.seconds.get(str(label), {})

    def note(self, name: str, label: int, seed: int, scores: torch.Tensor) -> None:
        """Measure scores of all test images, higher is more anomalous."""
        auroc = measure_detection(scores, anomalous(self.test, label)).auroc
        self.auroc.setdefault(name, {}).setdefault(str(label), {})[str(seed)] = auroc
        click.echo(f"class {label}, seed {seed}, {name}: {auroc:.4f}", err=True)

    def note_detector(
        self, name: str, label: int, seed: int, detector: zoo.AnomalyDetector
    ) -> None:
        """Score all test images with a detector, and measure it."""
        self.note(name, label, seed, -torch.from_numpy(detector.score_samples(self.test)))

    def measure(self, label: int, seed: int, normal: zoo.ImageSet) -> None:
        """Fit the default detector, and all that it is compared with."""
        start = time.perf_counter()
        detector = zoo.AnomalyDetector(random_state=seed, device="cpu").fit(normal)
        took = time.perf_counter() - start
        self.note_detector(DETECTOR, label, seed, detector)
        if seed == 0:  # nothing in the baselines is random
            for name, values in detection_baselines(normal.images, self.test.images, COMPONENTS):
                self.note(name, label, seed, values)
        for name in zoo.list_scores():
            other = zoo.AnomalyDetector(
                detector.model_, train=False, score=name, random_state=seed, device="cpu"
            )
            self.note_detector(f"score {name}", label, seed, other.fit(normal))
        self.seconds.setdefault(str(label), {})[str(seed)] = took

    def means(self) -> dict[str, dict[str, float]]:
        """Average over seeds within each class, then over classes; the best first."""
        table = {}
        for name, classes in self.auroc.items():
            means = {label: statistics.fmean(seeds.values()) for label, seeds in classes.items()}
            table[name] = {"mean": statistics.fmean(means.values()), **means}
        return dict(sorted(table.items(), key=lambda row: -row[1]["mean"]))


def report(table: Table, dataset: str) -> dict[str, Any]:
    """Return what the file holds."""
    seconds = [took for seeds in table.seconds.values() for took in seeds.values()]
    return {
        "dataset": dataset,
        "test_images": len(table.test),
        "device_name": device_name(torch.device("cpu")),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "fit_seconds": {"mean": statistics.fmean(seconds), "max": max(seconds)},
        "auroc": table.means(),
        "by_seed": table.auroc,
        "seconds": table.seconds,
    }


def begun(test: zoo.ImageSet, dataset: str, out: Path | None) -> Table:
    """Return the table of a file that an earlier call wrote, or an empty one."""
    if out is None or not out.exists():
        return Table(test)
    found = json.loads(out.read_text(encoding="utf-8"))
    now = {"dataset": dataset, "torch": torch.__version__, "threads": torch.get_num_threads()}
    for name, value in now.items():
        if found[name] != value:
            raise click.UsageError(f"{out} was measured with {name} {found[name]}, not {value}")
    return Table(test, found["by_seed"], found["seconds"])


@click.command()
@click.option("--dataset", default="fashion-mnist", show_default=True)
@click.option("--data", type=click.Path(), help="Folder that holds the data.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--classes", help="Some classes only, such as 6,8,4.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON file to write or go on with.")
def main(dataset: str, data: str | None, seeds: int, classes: str | None, out: Path | None) -> None:
    """Measure the default detector, all scores and the baselines, class by class."""
    train, test = (zoo.load_dataset(dataset, split, data=data) for split in ("train", "val"))
    chosen = [int(c) for c in classes.split(",")] if classes else range(len(train.class_names))
    table = begun(test, dataset, out)
    for seed, label in itertools.product(range(seeds), chosen):
        if table.has(label, seed):
            continue
        table.measure(label, seed, one_class(train, label))
        if out is not None:
            write_text(out, json.dumps(report(table, dataset), indent=2) + "\n")
    for name, row in table.means().items():
        figures = "  ".join(f"{value:.3f}" for key, value in row.items() if key != "mean")
        click.echo(f"{name:24s} {row['mean']:.4f}  {figures}")


if __name__ == "__main__":
    main()

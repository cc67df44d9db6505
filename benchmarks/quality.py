"""Whether the fast path trains as well: ``python -m benchmarks.quality --data FOLDER``.

Trains convae-200 on a dataset with several seeds, in fp32 and in the precision that this machine
chooses, and compares the means of the last validation losses.
"""

import json
import math
import statistics
from pathlib import Path
from typing import Any

import attrs
import click
import torch

import convae_zoo as zoo
from convae_zoo.bench.document import device_name
from convae_zoo.data.load import train_and_val


@click.command()
@click.option("--dataset", default="fashion-mnist", show_default=True)
@click.option("--data", type=click.Path(), help="Folder that holds the data.")
@click.option("--model", default="convae-200", show_default=True)
@click.option("--epochs", default=5, show_default=True)
@click.option("--seeds", default=3, show_default=True)
@click.option("--images", default=0, help="Train on the first so many images instead of all.")
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", default="auto", show_default=True, help="Compared with fp32.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON file to write.")
def main(
    dataset: str,
    data: str | None,
    model: str,
    epochs: int,
    seeds: int,
    images: int,
    device: str,
    precision: str,
    out: Path | None,
) -> None:
    """Compare the validation loss of the fast precision with that of fp32."""
    losses: dict[str, list[float]] = {"fp32": [], precision: []}
    given: Any = dataset
    if images:
        train_set, val_set = train_and_val(dataset, (3, 32, 32), data=data)
        given = attrs.evolve(train_set, images=train_set.images[:images], labels=None), val_set
    for seed in range(seeds):
        for chosen, found in losses.items():
            result = zoo.train(
                model,
                dataset=given,
                data=None if images else data,
                epochs=epochs,
                seed=seed,
                precision=chosen,
                device=device,
            )
            found.append(result.val_losses[-1])
            click.echo(f"seed {seed}, {chosen}: {found[-1]:.6f}", err=True)
    means = {name: statistics.fmean(values) for name, values in losses.items()}
    variances = [statistics.variance(values) / seeds for values in losses.values() if seeds > 1]
    where = torch.device("cuda" if device == "auto" and torch.cuda.is_available() else "cpu")
    text = json.dumps(
        {
            "dataset": dataset,
            "model": model,
            "epochs": epochs,
            "images": images or "all",
            "device_name": device_name(where),
            "torch": torch.__version__,
            "val_losses": losses,
            "means": means,
            "ratio": means[precision] / means["fp32"],
            "standard_error": math.sqrt(sum(variances)) / means["fp32"] if seeds > 1 else None,
        },
        indent=2,
    )
    click.echo(text)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

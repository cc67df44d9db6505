"""Seconds to the article's loss: ``python -m benchmarks.time_to_quality --out FILE``.

The article's loop in plain PyTorch trains ten epochs; its mean validation loss over the seeds is
the threshold. Beside it `zoo.train` trains the same network by another recipe. Each run has its own
process, and its time is counted from the start of that process, imports and data included. The
article's loop is not charged for validation, `zoo.train` is.

The ten epochs of the article's loop take many minutes. ``--article-epochs 1 --threshold LOSS`` runs
fewer, extrapolates their time to ten, and says so in the results.
"""

import json
import statistics
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import attrs
import click
import torch

ARTICLE_EPOCHS = 10
MEAN_OF = 50
"""Steps per point of a curve."""

Run = dict[str, Any]


@attrs.frozen(kw_only=True)
class Task:
    """What a process trains.

    Attributes:
        who: ``article`` or ``zoo``.
        dataset: its name.
        data: the folder that holds it.
        model: for `zoo.train`; the article's loop trains ``convae-200``.
        settings: arguments of `zoo.train`.
        epochs: of the article's loop.
        images: how many training images are used; 0 for all.
        seed: of weights and order.
    """

    who: str
    dataset: str
    data: str | None
    model: str
    settings: dict[str, Any]
    epochs: int
    images: int
    seed: int


def run(task: Task) -> Run:
    """Train in a new process.

    Returns:
        ``seconds`` from the start of the process, ``val_loss``, and the curve: the mean training
        loss of each `MEAN_OF` steps, and the seconds at which each was reached.
    """
    started = time.time()
    command = [sys.executable, "-m", "benchmarks.time_to_quality", "--child"]
    child = subprocess.run(
        [*command, json.dumps(attrs.asdict(task))], stdout=subprocess.PIPE, text=True, check=True
    )
    found: Run = json.loads(child.stdout)
    return {
        "seconds": found["ended"] - started,
        "val_loss": found["val_loss"],
        "curve_seconds": [at - started for at in found["at"]],
        "curve_losses": found["losses"],
    }


def _article(task: Task) -> Run:
    from benchmarks import article
    from convae_zoo.data.load import train_and_val
    from convae_zoo.data.pixels import to_float

    torch.manual_seed(task.seed)
    model = article.network()
    train_set, val_set = train_and_val(task.dataset, (3, 32, 32), data=task.data)
    losses: list[float] = []
    began = time.time()
    epochs = article.train(
        model,
        train_set.images,
        epochs=task.epochs,
        batch_size=64,
        device=torch.device("cpu"),
        losses=losses,
    )
    trained = sum(epochs)
    ended = began + trained * ARTICLE_EPOCHS / task.epochs
    total = 0.0
    with torch.inference_mode():
        for batch in torch.split(val_set.images, 512):
            x = to_float(batch, (-1.0, 1.0))
            total += float((model.eval()(x) - x).square().sum())
    return {
        "ended": ended,
        "val_loss": total / val_set.images.numel(),
        **_curve(losses, began, trained),
    }


def _zoo(task: Task) -> Run:
    import convae_zoo as zoo
    from convae_zoo.data.load import train_and_val

    given: Any = task.dataset
    if task.images:
        train_set, val_set = train_and_val(task.dataset, (3, 32, 32), data=task.data)
        order = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(task.seed))
        images = train_set.images[order[: task.images]]
        given = attrs.evolve(train_set, images=images, labels=None), val_set
    result = zoo.train(
        task.model,
        dataset=given,
        data=None if task.images else task.data,
        seed=task.seed,
        progress=False,
        **task.settings,
    )
    ended, trained = time.time(), sum(epoch.seconds for epoch in result.epochs)
    return {
        "ended": ended,
        "val_loss": result.val_losses[-1],
        **_curve(result.train_losses, ended - trained, trained),
    }


def _curve(losses: list[float], began: float, seconds: float) -> Run:
    parts = [losses[i : i + MEAN_OF] for i in range(0, len(losses), MEAN_OF)]
    done = [min(len(losses), (i + 1) * MEAN_OF) for i in range(len(parts))]
    return {
        "at": [began + seconds * count / len(losses) for count in done],
        "losses": [statistics.fmean(part) for part in parts],
    }


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def summary(article: list[Run], zoo: list[Run], threshold: float | None) -> dict[str, Any]:
    """Compare the runs of both; the threshold is by default the article's mean validation loss."""
    limit = statistics.fmean(r["val_loss"] for r in article) if threshold is None else threshold
    seconds = {
        who: statistics.fmean(r["seconds"] for r in runs)
        for who, runs in (("article", article), ("zoo", zoo))
    }
    reached = statistics.fmean(r["val_loss"] for r in zoo)
    return {
        "threshold": limit,
        "val_loss": reached,
        "reached": reached <= limit,
        "article_seconds": seconds["article"],
        "zoo_seconds": seconds["zoo"],
        "ratio": seconds["article"] / seconds["zoo"],
    }


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw loss against seconds, from the start of each process."""
    from matplotlib.ticker import StrMethodFormatter  # not in the processes that are timed

    from convae_zoo.visuals.figure import COLOURS, DPI, FAINT, Drawing, style, write_figure

    figure = Drawing(figsize=(8, 4.8), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    found = results["summary"]
    labels = {"article": "the article's loop, Adam", "zoo": textwrap.fill(results["zoo"], 34)}
    for (who, label), colour in zip(labels.items(), COLOURS, strict=False):
        for number, one in enumerate(results["runs"][who]):
            text = label if number == 0 else None
            at, losses = one["curve_seconds"], one["curve_losses"]
            axes.plot(at, losses, color=colour, lw=1.2, alpha=0.8, label=text)
            axes.plot(at[-1], one["val_loss"], "o", color=colour, ms=6)
    axes.axhline(found["threshold"], color=FAINT, lw=1, ls="--")
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlabel("seconds from the start of the process")
    axes.set_ylabel("MSE in [-1, 1]")
    axes.set_title(
        f"convae-200 on {results['dataset']}: {found['article_seconds']:,.0f} s and "
        f"{found['zoo_seconds']:,.0f} s to {found['threshold']:.4f}",
        fontsize=12,
    )
    axes.legend(
        frameon=False,
        fontsize=8,
        title="line: training, dot: validation\ndashed: threshold",
        title_fontsize=8,
    )
    style(axes)
    write_figure(path, figure)


@click.command()
@click.option("--dataset", default="fashion-mnist", show_default=True)
@click.option("--data", type=click.Path(), help="Folder that holds the data.")
@click.option("--model", default="convae-200", show_default=True)
@click.option("--recipe", default="fast", show_default=True)
@click.option("--epochs", type=int, help="Epochs instead of the recipe's.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another value of a recipe's field, as in warmup_steps=30; repeatable.",
)
@click.option("--images", default=0, help="Train on so many images instead of all.")
@click.option("--seeds", default=3, show_default=True, help="How many.")
@click.option("--first-seed", default=0, show_default=True)
@click.option("--article-epochs", default=ARTICLE_EPOCHS, show_default=True)
@click.option("--article-seeds", type=int, help="Seeds of the article's loop, if fewer.")
@click.option("--threshold", type=float, help="Loss to reach; by default the article's mean.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON file to write, and its chart.")
@click.option("--child", hidden=True)
def main(
    *,
    dataset: str,
    data: str | None,
    model: str,
    recipe: str,
    epochs: int | None,
    changes: tuple[str, ...],
    images: int,
    seeds: int,
    first_seed: int,
    article_epochs: int,
    article_seeds: int | None,
    threshold: float | None,
    out: Path | None,
    child: str | None,
) -> None:
    """Measure the seconds to the article's ten-epoch loss, beside the article's own loop."""
    if child is not None:
        task = Task(**json.loads(child))
        print(json.dumps((_article if task.who == "article" else _zoo)(task)))
        return
    if article_epochs < ARTICLE_EPOCHS and threshold is None:
        raise click.UsageError("with fewer --article-epochs the --threshold must be given")
    from benchmarks.conftest import device_name

    settings = {"recipe": recipe, **({} if epochs is None else {"epochs": epochs})}
    settings |= {name: _value(text) for name, _, text in (c.partition("=") for c in changes)}
    common = {"dataset": dataset, "data": data, "model": model, "epochs": article_epochs}
    runs: dict[str, list[Run]] = {"article": [], "zoo": []}
    for number, seed in enumerate(range(first_seed, first_seed + seeds)):
        for who, found in runs.items():
            if who == "article" and article_seeds is not None and number >= article_seeds:
                continue
            used = images if who == "zoo" else 0
            task = Task(who=who, settings=settings, images=used, seed=seed, **common)
            found.append(run(task))
            line = f"{found[-1]['seconds']:.1f} s, {found[-1]['val_loss']:.5f}"
            click.echo(f"seed {seed}, {who}: {line}", err=True)
    results = {
        "dataset": dataset,
        "zoo": f"{model}, recipe {recipe}"
        + (f", epochs {epochs}" if epochs else "")
        + "".join(f", {change}" for change in changes)
        + (f", {images:,} images" if images else ""),
        "article_epochs_run": article_epochs,
        "device_name": device_name(torch.device("cpu")),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "summary": summary(runs["article"], runs["zoo"], threshold),
        "runs": runs,
    }
    click.echo(json.dumps({k: v for k, v in results.items() if k != "runs"}, indent=2))
    if out is not None:
        out.write_text(json.dumps(results) + "\n", encoding="utf-8")
        draw(results, out.with_suffix(".png"))


if __name__ == "__main__":
    main()

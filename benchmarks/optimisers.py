"""Curves of several runs, against seconds and against epochs.

    python -m benchmarks.optimisers "Adam=runs/adam" "Muon=runs/fast" --pca 0.01251 --out curves.png

Each argument is a label and a run folder of `convae-zoo train`. The lines are running means of the
loss of each step, the points the validation losses. Seconds are those of the steps alone.
"""

from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from convae_zoo.runs.history import read_history


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="LABEL=FOLDER...")
@click.option("--pca", type=float, help="The loss of PCA, a dashed line.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="PNG file to write.")
def main(runs: tuple[str, ...], pca: float | None, out: Path) -> None:
    """Draw the losses of runs."""
    figure = Figure(figsize=(8, 3.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    by_time, by_epoch = figure.subplots(1, 2, sharey=True)
    for run in runs:
        label, _, folder = run.partition("=")
        history = read_history(Path(folder) / "history.jsonl")
        losses = np.array(history.steps)
        steps = len(losses) // len(history.epochs)
        seconds = np.concatenate(
            [np.full(steps, epoch.seconds / steps) for epoch in history.epochs]
        ).cumsum()
        epochs = np.arange(1, len(losses) + 1) / steps
        for axes, at in ((by_time, seconds), (by_epoch, epochs)):
            _draw(axes, at, losses, [epoch.val_loss for epoch in history.epochs], label)
    for axes, name in ((by_time, "seconds"), (by_epoch, "epochs")):
        axes.set_yscale("log")
        axes.set_xlabel(name)
        axes.grid(visible=True, which="both", alpha=0.25)
        if pca is not None:
            axes.axhline(pca, color="black", ls="--", lw=1, label="PCA")
    by_time.set_ylabel("MSE in [-1, 1]")
    by_epoch.legend(fontsize=8)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)


def _draw(
    axes: Any, at: NDArray[np.float64], losses: NDArray[np.float64], val: list[float], label: str
) -> None:
    steps = len(losses) // len(val)
    smooth = uniform_filter1d(losses, 101, mode="nearest")
    (line,) = axes.plot(at[::10], smooth[::10], lw=1.2, alpha=0.8, label=label)
    axes.plot(at[steps - 1 :: steps], val, "o", ms=4, color=line.get_color())


if __name__ == "__main__":
    main()

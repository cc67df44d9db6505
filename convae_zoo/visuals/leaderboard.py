"""The leaderboard's picture: quality against latent floats, and against operations."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, ScalarFormatter

from convae_zoo.evaluation.leaderboard import Leaderboard
from convae_zoo.visuals import printable, shorten, write_figure

_DPI = 100
_INK, _PCA = "#222222", "#6b6b6b"
_COLOURS = ("#08519c", "#d94801", "#238b45", "#6a51a3", "#a50f15", "#016c59", "#7a0177", "#636363")
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_COLUMNS = 2  # of the legend
_NAME_WIDTH = 380  # pixels of a model's name in it
_FEW_TICKS = 1000.0  # an axis over less than this factor is marked at 1, 2 and 5


def save_leaderboard(path: str | Path, board: Leaderboard) -> None:
    """Draw a leaderboard: PSNR against latent floats, and against operations an image.

    Each model is a mark of its own, the same in both panels; PCA is a line.

    Args:
        path: where to write, ending in ``.png``; its folder is made where it is missing.
        board: what to draw.

    Raises:
        UsageError: the path is not that of a picture.
        FileError: the file cannot be written.
    """
    lines = -(-(len(board.rows) + 1) // _COLUMNS)
    height = 5.0 + 0.22 * lines
    figure = Figure(figsize=(12, height), dpi=_DPI, facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    handles = _panel(
        left,
        board,
        [row.latent_floats for row in board.rows],
        [point.latent_floats for point in board.pca],
    )
    _panel(right, board, [row.flops for row in board.rows], [point.flops for point in board.pca])
    left.set_xlabel("latent floats")
    right.set_xlabel("FLOPs of one image there and back")
    left.set_ylabel("PSNR in dB (higher is better)")
    _logarithmic(left, ScalarFormatter())
    _logarithmic(right, EngFormatter())
    figure.suptitle(
        printable(
            f"Reconstruction of {board.dataset}, split {board.split}, {board.images:,} images"
        ),
        fontsize=12,
        color=_INK,
        parse_math=False,
    )
    figure.legend(
        handles=handles, loc="outside lower center", ncols=_COLUMNS, frameon=False, fontsize=9
    )
    write_figure(path, figure)


def _panel(
    axes: Any, board: Leaderboard, across: Sequence[float], pca_across: Sequence[float]
) -> list[Any]:
    """Draw one panel; give what the legend shows."""
    handles = []
    if board.pca:
        heights = [point.metrics.psnr for point in board.pca]
        handles += axes.plot(pca_across, heights, color=_PCA, lw=1.6, zorder=1, label="PCA")
    for number, (row, x) in enumerate(zip(board.rows, across, strict=True)):
        handles += axes.plot(
            [x],
            [row.metrics.psnr],
            marker=_MARKS[number % len(_MARKS)],
            color=_COLOURS[(number + number // len(_MARKS)) % len(_COLOURS)],
            ms=8,
            ls="none",
            label=_label(row.name, row.ratio_to_pca),
        )
    axes.grid(visible=True, which="major", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return handles


def _label(name: str, ratio: float | None) -> str:
    told = shorten(printable(name), _NAME_WIDTH).replace("$", r"\$")  # which would begin a formula
    return told if ratio is None else f"{told} ({ratio:.2f} of PCA's MSE)"


def _logarithmic(axes: Any, formatter: Any) -> None:
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < _FEW_TICKS else (1,)))
    axes.xaxis.set_major_formatter(formatter)
    axes.xaxis.set_minor_formatter(NullFormatter())

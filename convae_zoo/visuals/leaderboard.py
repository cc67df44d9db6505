"""The leaderboard's picture: quality against latent floats, and against operations."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, ScalarFormatter

from convae_zoo.evaluation.leaderboard import Leaderboard
from convae_zoo.visuals.figure import COLOURS, DPI, FAINT, INK, PAPER, Drawing, finished, style
from convae_zoo.visuals.text import drawable, shorten

_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_COLUMNS = 2  # of the legend
_NAME_WIDTH = 380  # pixels of a model's name in it
_FEW_TICKS = 1000.0  # an axis over less than this factor is marked at 1, 2 and 5


def save_leaderboard(path: str | Path | None, board: Leaderboard) -> Drawing:
    """Draw a leaderboard: PSNR against latent floats, and against FLOPs per image.

    Each model has a mark, the same in both panels; PCA is a line.

    Args:
        path: where to write, ending in ``.png``; a missing folder is created. None for nowhere.
        board: what to draw.

    Returns:
        The figure, which a notebook shows.

    Raises:
        UsageError: the path is not that of a picture.
        FileError: the file cannot be written.
    """
    lines = -(-(len(board.rows) + 1) // _COLUMNS)
    height = 5.0 + 0.22 * lines
    figure = Drawing(figsize=(12, height), dpi=DPI, facecolor=PAPER, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    handles = _panel(
        left,
        board,
        [row.latent_floats for row in board.rows],
        [point.latent_floats for point in board.pca],
    )
    _panel(right, board, [row.flops for row in board.rows], [point.flops for point in board.pca])
    left.set_xlabel("latent floats")
    right.set_xlabel("FLOPs per image, encoding and decoding")
    left.set_ylabel("PSNR in dB (higher is better)")
    _logarithmic(left, ScalarFormatter())
    _logarithmic(right, EngFormatter())
    figure.suptitle(
        drawable(
            f"Reconstruction of {board.dataset}, split {board.split}, {board.images:,} images"
        ),
        fontsize=12,
        color=INK,
        parse_math=False,
    )
    figure.legend(
        handles=handles, loc="outside lower center", ncols=_COLUMNS, frameon=False, fontsize=9
    )
    return finished(figure, path)


def _panel(
    axes: Any, board: Leaderboard, across: Sequence[float], pca_across: Sequence[float]
) -> list[Any]:
    """Draw one panel; return the entries of the legend."""
    handles = []
    if board.pca:
        heights = [point.metrics.psnr for point in board.pca]
        handles += axes.plot(pca_across, heights, color=FAINT, lw=1.6, zorder=1, label="PCA")
    for number, (row, x) in enumerate(zip(board.rows, across, strict=True)):
        handles += axes.plot(
            [x],
            [row.metrics.psnr],
            marker=_MARKS[number % len(_MARKS)],
            color=COLOURS[(number + number // len(_MARKS)) % len(COLOURS)],
            ms=8,
            ls="none",
            label=_label(row.name, row.ratio_to_pca),
        )
    style(axes)
    return handles


def _label(name: str, ratio: float | None) -> str:
    text = shorten(drawable(name), _NAME_WIDTH).replace("$", r"\$")  # which would begin a formula
    return text if ratio is None else f"{text} ({ratio:.2f} of PCA's MSE)"


def _logarithmic(axes: Any, formatter: Any) -> None:
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < _FEW_TICKS else (1,)))
    axes.xaxis.set_major_formatter(formatter)
    axes.xaxis.set_minor_formatter(NullFormatter())

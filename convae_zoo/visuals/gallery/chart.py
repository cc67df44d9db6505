"""A leaderboard's chart as inline SVG: PSNR against latent floats or FLOPs, PCA as a line."""

import math
from collections.abc import Sequence
from typing import Any

import attrs

from convae_zoo.evaluation.leaderboard import Leaderboard, PcaPoint, Row

WIDTH, HEIGHT = 560, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 24, 16, 44
_LINE = 15  # pixels from one label to the next
_CHAR = 6.6  # pixels of a label's character, on average
_TICKS = (1, 2, 5)


@attrs.frozen(kw_only=True)
class Mark:
    """A model's dot and its label."""

    x: float
    y: float
    label: str
    label_x: float
    label_y: float
    anchor: str


def chart(board: Leaderboard, axis: str) -> dict[str, Any]:
    """Lay out a chart.

    Args:
        board: what to draw.
        axis: the field of the rows and of PCA's points that runs across, logarithmic.

    Returns:
        Names for the template: size, marks, PCA's line, ticks with their labels.
    """
    points: list[Row | PcaPoint] = [*board.rows, *board.pca]
    across = [float(getattr(each, axis)) for each in points]
    heights = [each.metrics.psnr for each in points]
    low_x, high_x = math.log10(min(across)) - 0.15, math.log10(max(across)) + 0.15
    room = max(0.08 * (max(heights) - min(heights)), 0.5)
    low_y, high_y = min(heights) - room, max(heights) + room

    def place(each: Row | PcaPoint) -> tuple[float, float]:
        right = (math.log10(getattr(each, axis)) - low_x) / (high_x - low_x)
        up = (each.metrics.psnr - low_y) / (high_y - low_y)
        return (
            _LEFT + right * (WIDTH - _LEFT - _RIGHT),
            HEIGHT - _BOTTOM - up * (HEIGHT - _TOP - _BOTTOM),
        )

    step = _nice_step(high_y - low_y)
    rows = range(math.ceil(low_y / step), math.floor(high_y / step) + 1)
    decades = range(math.floor(low_x), math.ceil(high_x) + 1)
    columns = [m * 10**d for d in decades for m in (_TICKS if high_x - low_x < 3 else (1,))]  # noqa: PLR2004 - decades
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": _LEFT,
        "right": WIDTH - _RIGHT,
        "top": _TOP,
        "bottom": HEIGHT - _BOTTOM,
        "marks": _marks([(row.name, *place(row)) for row in board.rows]),
        "pca": " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, board.pca)),
        "pca_points": [place(point) for point in board.pca],
        "y_ticks": [
            (
                HEIGHT
                - _BOTTOM
                - (n * step - low_y) / (high_y - low_y) * (HEIGHT - _TOP - _BOTTOM),
                f"{n * step:g}",
            )
            for n in rows
        ],
        "x_ticks": [
            (
                _LEFT + (math.log10(value) - low_x) / (high_x - low_x) * (WIDTH - _LEFT - _RIGHT),
                _short(value),
            )
            for value in columns
            if low_x <= math.log10(value) <= high_x
        ],
    }


def _marks(points: Sequence[tuple[str, float, float]]) -> list[Mark]:
    """Place labels beside their dots, moved down where they would lie on one another."""
    marks: list[Mark] = []
    for label, x, y in sorted(points, key=lambda point: point[2]):
        width = _CHAR * len(label) + 10
        fits = x + width < WIDTH - _RIGHT
        left = x + 10 if fits else x - width
        label_y = y + 4
        for other in marks:
            start = other.label_x if other.anchor == "start" else other.x - _CHAR * len(other.label)
            apart = left > start + _CHAR * len(other.label) or left + width < start
            if not apart and label_y - other.label_y < _LINE:
                label_y = other.label_y + _LINE
        marks.append(
            Mark(
                x=x,
                y=y,
                label=label,
                label_x=x + 10 if fits else x - 10,
                label_y=label_y,
                anchor="start" if fits else "end",
            )
        )
    return marks


def _nice_step(span: float) -> float:
    """Return 1, 2 or 5 times a power of ten that cuts a span into about five."""
    power = 10.0 ** math.floor(math.log10(span / 5))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= span / 5)


def _short(value: float) -> str:
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:g}{prefix}"
    return f"{value:g}"

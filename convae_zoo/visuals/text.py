"""Text on pictures: what the font can show, how wide it is, and how it is made to fit."""

from typing import Any

from matplotlib.font_manager import FontProperties, findfont, get_font

from convae_zoo.visuals.figure import DPI

FONT = "DejaVu Sans"  # ships with matplotlib
SMALL, NORMAL, LARGE = 9.0, 10.0, 13.0


def printable(text: str) -> str:
    """Put text on one line, with a box for what the font does not have."""
    known = _font(NORMAL).get_charmap()
    return "".join(c if ord(c) in known else "\u25a1" for c in " ".join(text.split()))


def text_width(text: str, size: float = NORMAL) -> float:
    """Width of a line of text in pixels."""
    font = _font(size)
    font.set_text(text, 0.0)
    return float(font.get_width_height()[0]) / 64


def shorten(text: str, width: float, size: float = NORMAL) -> str:
    """Leave out the middle of a text that is wider than so many pixels."""
    if text_width(text, size) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f"{text[: (kept + 1) // 2].rstrip()}…{text[-(kept // 2) :].lstrip()}"
        if text_width(short, size) <= width:
            return short
    return "…"


def fit(name: str, width: float) -> str:
    """Set a name in one line or two, no wider than so many pixels."""
    if text_width(name, SMALL) <= width:
        return name
    breaks = [i + 1 for i, c in enumerate(name[:-1]) if c in " -_/,"]
    for cut in sorted(breaks, key=lambda i: abs(i - len(name) / 2)):
        lines = name[:cut].strip(), name[cut:].strip()
        if all(text_width(line, SMALL) <= width for line in lines):
            return "\n".join(lines)
    return shorten(name, width, SMALL)


def _font(size: float) -> Any:
    """Give the font of a size; the large one is bold, for titles."""
    weight = "bold" if size == LARGE else "normal"
    font = get_font(findfont(FontProperties(family=FONT, weight=weight)))
    font.set_size(size, DPI)
    return font

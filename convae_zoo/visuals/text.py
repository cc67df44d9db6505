"""Text on pictures: what the font can draw, and how it is made to fit."""

from typing import Any

from matplotlib.font_manager import FontProperties, findfont, get_font

from convae_zoo.visuals.figure import DPI

FONT = "DejaVu Sans"  # ships with matplotlib
SMALL, NORMAL, LARGE = 9.0, 10.0, 13.0


def drawable(text: str) -> str:
    """Put text on one line, with a box for each character that the font lacks."""
    known = _font(NORMAL).get_charmap()
    return "".join(c if ord(c) in known else "\u25a1" for c in " ".join(text.split()))


def text_width(text: str, size: float = NORMAL) -> float:
    """Return the width of a line of text in pixels."""
    font = _font(size)
    font.set_text(text, 0.0)
    return float(font.get_width_height()[0]) / 64


def shorten(text: str, width: float, size: float = NORMAL) -> str:
    """Leave out the middle of a text that is wider than `width` pixels."""
    short, kept = text, len(text)
    while kept > 1 and text_width(short, size) > width:
        kept -= 1
        short = f"{text[: (kept + 1) // 2].rstrip()}…{text[-(kept // 2) :].lstrip()}"
    return short if kept > 1 or text_width(short, size) <= width else "…"


def fit(name: str, width: float) -> str:
    """Set a name in one line or two, no wider than `width` pixels."""
    cuts = [len(name)] + [i + 1 for i, c in enumerate(name[:-1]) if c in " -_/,"]
    for cut in sorted(cuts, key=lambda i: (i < len(name), abs(i - len(name) / 2))):
        lines = name[:cut].strip(), name[cut:].strip()
        if all(text_width(line, SMALL) <= width for line in lines):
            return "\n".join(filter(None, lines))
    return shorten(name, width, SMALL)


def _font(size: float) -> Any:
    """Return the font of a size; the large one is bold, for titles."""
    weight = "bold" if size == LARGE else "normal"
    font = get_font(findfont(FontProperties(family=FONT, weight=weight)))
    font.set_size(size, DPI)
    return font

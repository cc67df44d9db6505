"""Rendering the gallery's page from its content."""

import base64
import io
from importlib import resources

import jinja2
from PIL import Image
from torch import Tensor

from convae_zoo.errors import printable
from convae_zoo.visuals.gallery.chart import chart
from convae_zoo.visuals.gallery.content import Gallery

_TEMPLATES = resources.files("convae_zoo.visuals.gallery") / "templates"
_QUALITY = 90  # of WebP: below what a zoom of a reconstruction shows


def render(gallery: Gallery) -> str:
    """Return the page as one HTML document without any external address."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_read),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(picture=data_uri, exact=exact_uri, count=_count, plain=printable)
    environment.globals["chart"] = chart
    return environment.get_template("page.html").render(gallery=gallery)


def data_uri(image: Tensor) -> str:
    """Return a uint8 image C×H×W as a data URI, lossy."""
    return _uri(image, quality=_QUALITY, method=6)


def exact_uri(image: Tensor) -> str:
    """Return a uint8 image C×H×W as a data URI, without loss."""
    return _uri(image, lossless=True, method=4)


def _uri(image: Tensor, **options: int) -> str:
    buffer = io.BytesIO()
    pixels = image.cpu().expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
    Image.fromarray(pixels).save(buffer, "WEBP", **options)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _count(number: float | None) -> str:
    """Write a number with a prefix: 1.8 M; a dash for None."""
    if number is None:
        return "-"
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g} {prefix}"
    return f"{number:.3g}"


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")

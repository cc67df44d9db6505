"""Make a folder of clean photographs: ``python -m benchmarks.denoising.photographs --help``.

The sources are free and easily had: the wheels of scikit-image and scikit-learn, and the files of
three Debian packages, unpacked (``apt-get download NAME; dpkg -x FILE.deb FOLDER``):

- plasma-workspace-wallpapers (LGPL-3, CC-BY-SA-4.0), ``usr/share/wallpapers``
- gcompris-qt-data (GPL-3+, CC-BY, CC-BY-SA, public domain: its copyright file names every
  picture), ``usr/share/gcompris-qt/rcc``
- kphotoalbum (GPL-2+), ``usr/share/kphotoalbum/demo``

Every picture is reduced by a factor of 1.3 to 5 with a Lanczos filter, at one to three scales, so
that its own noise and the traces of its compression are gone. Chelsea, coffee and the wallpapers
that `photos` validates on are left out: the comparison tests on them.

OUT/train/photographs and OUT/train/renderings are for training, OUT/val for watching it: the
middles of ten photographs.
"""

import io
import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import click
from PIL import Image

PHOTOGRAPHS = ("BytheWater", "DarkestHour", "Grey", "OneStandsOut", "Path")
RENDERINGS = (
    "Altai",
    "Autumn",
    "Canopee",
    "Cascade",
    "Cluster",
    "Elarun",
    "Flow",
    "FlyingKonqui",
    "Honeywave",
    "IceCold",
    "Kay",
    "Kokkini",
    "MilkyWay",
    "Opal",
    "PastelHills",
    "Patak",
    "Shell",
    "Volna",
)
WHEELS = (
    ("skimage", "data/astronaut.png", (1, 1.5)),
    ("skimage", "data/motorcycle_left.png", (1, 1.6)),
    ("skimage", "data/rocket.jpg", (1.3,)),
    ("sklearn", "datasets/images/china.jpg", (1, 1.5)),
    ("sklearn", "datasets/images/flower.jpg", (1, 1.5)),
)
ACTIVITIES = (
    "clickgame",
    "details",
    "erase",
    "explore_farm_animals",
    "explore_monuments",
    "explore_world_animals",
    "explore_world_music",
)
VAL_EVERY = 9
VAL_FROM = ("erase", "explore_monuments", "explore_world_animals")
VAL_SIZE = 240
SMALLEST, SMALLEST_RESULT = 300, 128


class Picture(NamedTuple):
    """A photograph or a rendering, and the factors by which it is reduced."""

    name: str
    image: Image.Image
    factors: tuple[float, ...]
    rendering: bool = False


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--wallpapers", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--gcompris", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--kphotoalbum", type=click.Path(exists=True, path_type=Path), required=True)
def main(out: Path, wallpapers: Path, gcompris: Path, kphotoalbum: Path) -> None:
    """Write reduced, clean photographs to OUT/train and OUT/val."""
    for folder in ("train/photographs", "train/renderings", "val"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    count = 0
    for picture in (
        *from_wallpapers(wallpapers),
        *from_wheels(),
        *from_kphotoalbum(kphotoalbum),
        *from_gcompris(gcompris),
    ):
        if picture.name.rpartition("-")[0] in VAL_FROM:
            count += 1
            if count % VAL_EVERY == 0:
                middle(reduced(picture.image, picture.factors[-1])).save(
                    out / "val" / f"{picture.name}.png"
                )
                continue
        folder = out / "train" / ("renderings" if picture.rendering else "photographs")
        for factor in picture.factors:
            small = reduced(picture.image, factor)
            if min(small.size) >= SMALLEST_RESULT:
                small.save(folder / f"{picture.name}-{factor:g}.png")


def reduced(image: Image.Image, factor: float) -> Image.Image:
    """Reduce an image by a factor."""
    width, height = (round(n / factor) for n in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def middle(image: Image.Image) -> Image.Image:
    """Cut the middle out of an image."""
    left, top = ((n - VAL_SIZE) // 2 for n in image.size)
    return image.crop((left, top, left + VAL_SIZE, top + VAL_SIZE))


def from_wallpapers(folder: Path) -> Iterator[Picture]:
    """Read the wallpapers; each has its largest version."""
    for name in PHOTOGRAPHS + RENDERINGS:
        images = [Image.open(file) for file in (folder / name / "contents/images").iterdir()]
        image = max(images, key=lambda i: i.width * i.height).convert("RGB")
        rendering = name in RENDERINGS
        yield Picture(name, image, (image.width / 1000,) if rendering else (2, 3, 4), rendering)


def from_wheels() -> Iterator[Picture]:
    """Read the photographs of scikit-image and scikit-learn without a grain of their own."""
    for package, file, factors in WHEELS:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise click.ClickException(f"{package} is not installed")
        path = Path(spec.origin).parent / file
        yield Picture(path.stem, Image.open(path).convert("RGB"), factors)


def from_kphotoalbum(folder: Path) -> Iterator[Picture]:
    """Read the demo photographs of kphotoalbum."""
    for file in sorted(folder.glob("*.jpg")):
        image = Image.open(file).convert("RGB")
        if min(image.size) >= SMALLEST and "logo" not in file.name:
            yield Picture(file.stem, image, (2,))


def from_gcompris(folder: Path) -> Iterator[Picture]:
    """Read the photographs in the resource files of gcompris: WebP images, stored as they are."""
    for activity in ACTIVITIES:
        data = (folder / f"{activity}.rcc").read_bytes()
        for number, image in enumerate(webp_images(data)):
            if min(image.size) < SMALLEST or image.has_transparency_data:
                continue
            longest = max(image.size)
            factors = (2, 3) if longest > 1500 else (2, 2.8) if longest > 900 else (1.5,)
            yield Picture(f"{activity}-{number}", image.convert("RGB"), factors)


def webp_images(data: bytes) -> Iterator[Image.Image]:
    """Find the WebP images in a file of another kind."""
    start = data.find(b"RIFF")
    while start >= 0:
        length = 8 + int(struct.unpack("<I", data[start + 4 : start + 8])[0])
        following = start + 4
        if data[start + 8 : start + 12] == b"WEBP":
            try:
                image = Image.open(io.BytesIO(data[start : start + length]))
                image.load()
            except (OSError, SyntaxError):  # the letters by chance
                pass
            else:
                yield image
                following = start + length
        start = data.find(b"RIFF", following)


if __name__ == "__main__":
    main()

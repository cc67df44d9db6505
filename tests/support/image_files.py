"""Image files that test their reader: by their size, their name or what they hold."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def flat_png(path: Path, width: int, height: int, *, bits: int = 8, colour: bool = False) -> Path:
    """Write a black PNG file of any size, a row at a time."""
    row = bytes(1 + (width * bits * (3 if colour else 1) + 7) // 8)
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, 2 if colour else 0, 0, 0, 0)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, content in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b"")):
            file.write(struct.pack(">I", len(content)) + kind + content)
            file.write(struct.pack(">I", zlib.crc32(kind + content)))
    return path


def marked_photo(folder: Path) -> Path:
    """Write a picture whose sides are no multiples of a model's, with markup in its name."""
    pixels = np.zeros((50, 70, 3), np.uint8)
    pixels[..., 0] = np.arange(70) * 3
    pixels[20:30, 20:40] = 255
    path = folder / "<b>photo.png"
    Image.fromarray(pixels).save(path)
    return path

"""Image files that a careful reader must refuse, skip or decode in little memory."""

import struct
import zlib
from pathlib import Path


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

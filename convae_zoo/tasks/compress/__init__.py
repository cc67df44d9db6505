"""Encoding many images into one latents file, and decoding it: in bounded memory, resumable."""

from convae_zoo.tasks.compress.decode import decode_file
from convae_zoo.tasks.compress.encode import encode_files

__all__ = ["decode_file", "encode_files"]

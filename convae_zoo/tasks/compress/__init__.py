"""Many images to latents in one file, and back; flat in memory, and restartable."""

from convae_zoo.tasks.compress.decode import decode_file
from convae_zoo.tasks.compress.encode import encode_files

__all__ = ["decode_file", "encode_files"]

"""Whole pictures of any size: reconstructed and denoised, in memory and in files."""

from convae_zoo.tasks.pictures.apply import PictureModel, denoise, reconstruct
from convae_zoo.tasks.pictures.files import restore_files

__all__ = ["PictureModel", "denoise", "reconstruct", "restore_files"]

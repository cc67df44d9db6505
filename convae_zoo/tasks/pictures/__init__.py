"""Whole pictures of any size: reconstructed and denoised, in memory and in files."""

from convae_zoo.tasks.pictures.apply import denoise, reconstruct
from convae_zoo.tasks.pictures.denoiser import Denoiser
from convae_zoo.tasks.pictures.files import restore_files
from convae_zoo.tasks.pictures.picture_model import PictureModel

__all__ = ["Denoiser", "PictureModel", "denoise", "reconstruct", "restore_files"]

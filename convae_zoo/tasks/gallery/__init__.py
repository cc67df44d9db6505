"""The gallery: every installed model at work, on one page."""

from convae_zoo.tasks.gallery.build import Settings, build_gallery
from convae_zoo.tasks.gallery.write import PAGE, write_gallery

__all__ = ["PAGE", "Settings", "build_gallery", "write_gallery"]

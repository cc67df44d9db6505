"""Images: uint8 sets, fitting them to a model, and the datasets of the registry."""

from convae_zoo.data.fingerprint import fingerprint
from convae_zoo.data.image_file import MAX_PIXELS, read_image
from convae_zoo.data.image_set import ImageSet
from convae_zoo.data.large import empty_images, store_pictures
from convae_zoo.data.listing import list_images
from convae_zoo.data.load import load_dataset, load_pictures
from convae_zoo.data.one_class import anomalous, one_class
from convae_zoo.data.picture_set import PictureSet
from convae_zoo.data.pixels import fit, fit_masks, read_fitted, resize

__all__ = [
    "MAX_PIXELS",
    "ImageSet",
    "PictureSet",
    "anomalous",
    "empty_images",
    "fingerprint",
    "fit",
    "fit_masks",
    "list_images",
    "load_dataset",
    "load_pictures",
    "one_class",
    "read_fitted",
    "read_image",
    "resize",
    "store_pictures",
]

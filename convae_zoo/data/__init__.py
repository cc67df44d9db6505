"""Images: uint8 sets, fitting them to a model, and the datasets of the registry."""

from convae_zoo.data.image_set import ImageSet
from convae_zoo.data.load import load_dataset

__all__ = ["ImageSet", "load_dataset"]

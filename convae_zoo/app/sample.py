"""Samples new images from a model."""

import torch
from PIL import Image
from torchvision.utils import make_grid

from convae_zoo.models.autoencoder import Autoencoder

_SIDE = 128  # small images are enlarged to about this side
_COLUMNS, _GAP = 8, 4


def sample_picture(model: Autoencoder, count: int, seed: int) -> Image.Image:
    """Draw images that ``convae-zoo sample`` samples with the same count and seed, row by row.

    Args:
        model: the autoencoder.
        count: how many images.
        seed: of the random latents.

    Raises:
        ZooError: the model has no prior, or fails.
    """
    generator = torch.Generator(model.device).manual_seed(seed)
    images = model.postprocess(model.sample(count, generator=generator)).cpu()
    factor = max(1, round(_SIDE / max(images.shape[2:])))
    large = images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    grid = make_grid(large, nrow=_COLUMNS, padding=_GAP, pad_value=255)
    return Image.fromarray(grid.permute(1, 2, 0).contiguous().numpy())

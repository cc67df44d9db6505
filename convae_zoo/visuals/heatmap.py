"""Heatmaps: an anomaly map over its picture."""

import torch
from torch import Tensor
from torch.nn import functional

from convae_zoo.data import pixels

_SIDE = 160  # small pictures are enlarged to about this side
_YELLOW, _RED, _OUTLINE = (255.0, 214.0, 10.0), (208.0, 0.0, 0.0), (0, 229, 255)
_FULL = 5.0  # where colour is reddest: so many times the threshold's distance from its beginning
_STRONGEST = 0.75  # opacity


def draw_heatmap(picture: Tensor, values: Tensor, level: float, threshold: float) -> Tensor:
    """Draw an anomaly map over its picture, whose colours are faded.

    Colour begins at `level`, gets stronger and redder above it, and what is above the threshold is
    outlined. Small pictures are enlarged by a whole factor.

    Args:
        picture: uint8 C×H×W, C of 1 or 3.
        values: the map, float H×W.
        level: the value up to which nothing is coloured; at most the threshold is used.
        threshold: the value above which a pixel is anomalous.

    Returns:
        uint8 3×H×W.
    """
    factor = max(1, round(_SIDE / max(picture.shape[1:])))
    large = picture.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    heat = values.repeat_interleave(factor, 0).repeat_interleave(factor, 1)
    grey = pixels.fit(large[None], (1, *large.shape[1:]))[0].float()
    base = 0.5 * grey + 0.5 * large.float()

    start = min(level, threshold)
    reach = max(_FULL * (threshold - start), torch.finfo(torch.float32).tiny)
    strength = ((heat - start) / reach).clamp(0, 1)
    yellow, red = (torch.tensor(c).view(3, 1, 1) for c in (_YELLOW, _RED))
    colour = yellow + (red - yellow) * strength
    opacity = _STRONGEST * strength.sqrt()
    drawn = (base * (1 - opacity) + colour * opacity).round().to(torch.uint8)

    above = (heat > threshold).float()[None, None]
    grown = functional.max_pool2d(above, 3, stride=1, padding=1)
    outline = (grown - above)[0, 0] > 0
    return torch.where(outline, torch.tensor(_OUTLINE, dtype=torch.uint8).view(3, 1, 1), drawn)

"""A detector at work: defects drawn onto a texture that it knows only without them."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

from convae_zoo.data.image_file import read_image
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.tasks.detect import AnomalyDetector
from convae_zoo.visuals.gallery.content import Heatmaps

TEXTURE = "brick.png"
"""A photograph that comes with scikit-image."""

_SIDE = 96  # of a crop, in pixels
_STEP = 32  # from one normal crop to the next
_COLOUR = (255.0, 40.0, 0.0)  # of what is anomalous
_GLOW = 5  # pixels by which a marked pixel is widened, to be seen


def show_defects(name: str, model: Autoencoder, device: str) -> Heatmaps:
    """Fit a detector on crops of a wall, and score others, most of them with a defect.

    Args:
        name: of the model's weights.
        model: used as it is.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ZooError: no score is installed, or the model cannot be used.
    """
    from skimage import data

    wall = read_image(Path(data.__file__).parent / TEXTURE).permute(1, 2, 0).numpy()
    normal, tested = _normal(wall[: -_SIDE - _STEP]), _with_defects(wall[-_SIDE:])
    detector = AnomalyDetector(
        model, score="reconstruction", train=False, alarm_rate=0.05, device=device
    ).fit(normal)
    pairs, notes = [], []
    for pixels, scored in zip(tested, detector.scored(tested), strict=True):
        image, ratio = torch.from_numpy(pixels).permute(2, 0, 1), scored.score / detector.threshold_
        heat = torch.zeros(image.shape[1:]) if scored.map is None else scored.map
        pairs.append((image, _overlay(image, heat / (detector.map_threshold_ or 1.0))))
        notes.append(f"{ratio:.2f} of the threshold: {'flagged' if ratio > 1 else 'normal'}")
    return Heatmaps(
        title=f"A detector with {name}, fitted on {len(normal)} crops of a wall without defects",
        pairs=tuple(pairs),
        notes=tuple(notes),
    )


def _normal(wall: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut overlapping crops N×H×W×3."""
    height, width = wall.shape[:2]
    return np.stack(
        [
            wall[y : y + _SIDE, x : x + _SIDE]
            for y in range(0, height - _SIDE + 1, _STEP)
            for x in range(0, width - _SIDE + 1, _STEP)
        ]
    )


def _with_defects(wall: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut crops side by side; draw nothing, a scratch, a stain and a hole, and turn a patch."""
    crops = [wall[:, x : x + _SIDE].copy() for x in range(0, 5 * _SIDE, _SIDE)]
    scratched, stained, chipped = (Image.fromarray(crop) for crop in crops[1:4])
    ImageDraw.Draw(scratched).line([(20, 15), (70, 80)], fill=(250, 250, 245), width=2)
    ImageDraw.Draw(stained).ellipse([38, 30, 64, 54], fill=(60, 45, 40))
    ImageDraw.Draw(chipped).polygon([(30, 60), (52, 48), (66, 66), (44, 78)], fill=(30, 30, 30))
    crops[4][30:62, 30:62] = np.rot90(crops[4][30:62, 30:62])
    return np.stack([crops[0], *map(np.asarray, (scratched, stained, chipped)), crops[4]])


def _overlay(image: Tensor, heat: Tensor) -> Tensor:
    """Lay a map H×W, 1 at its threshold, over a grey version of an image 3×H×W."""
    wide = functional.max_pool2d(heat[None, None], _GLOW, 1, _GLOW // 2)
    soft = functional.avg_pool2d(wide, _GLOW, 1, _GLOW // 2, count_include_pad=False)[0]
    alpha = (soft - 0.4).clamp(0, 0.9)
    grey = image.float().mean(0, keepdim=True).expand(3, -1, -1) * 0.8 + 40
    mixed = grey * (1 - alpha) + torch.tensor(_COLOUR).view(3, 1, 1) * alpha
    return mixed.round().clamp(0, 255).to(torch.uint8)

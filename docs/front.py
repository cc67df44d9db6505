"""Draw the picture at the head of README.md: ``python docs/front.py .assets/front.jpg``.

Three panels: a noisy photograph and what the denoiser makes of it, defects and where a detector
sees them, a photograph and its reconstruction. Every figure in the captions is measured here.
"""

import math
import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont
from skimage import data
from torch import Tensor

import convae_zoo as zoo
from convae_zoo.data.corrupt import Corruption
from convae_zoo.tasks.pictures.quality import quality
from convae_zoo.visuals.heatmap import draw_heatmap

WIDTH, HEIGHT, GAP, LINE = 400, 266, 16, 30
PHOTOGRAPHS = Path(data.__file__).parent
DENOISER, MODEL = "unet-denoiser.photographs", "deep-residual-200.photos"
SCORE = "reconstruction(smoothing=2)"
SIGMA = 50
DEFECTS = ("blot", "hole", "scratch")


def main(path: str) -> None:
    """Draw the three panels side by side, each above its caption."""
    panels = [noise_removed(), defects_found(), compressed()]
    sheet = Image.new("RGB", (3 * WIDTH + 2 * GAP, HEIGHT + LINE), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(findfont(FontProperties(family="DejaVu Sans")), 14)
    for place, (caption, panel) in enumerate(panels):
        left = place * (WIDTH + GAP)
        sheet.paste(panel, (left, 0))
        draw.text((left + WIDTH // 2, HEIGHT + LINE // 2), caption, "#222222", font, "mm")
    sheet.save(path, quality=88, optimize=True)


def noise_removed() -> tuple[str, Image.Image]:
    """Add noise to a photograph that no model saw, and remove it."""
    clean = photograph("coffee.png")
    noisy = Corruption(f"gaussian(sigma={SIGMA})").fixed(clean[None], ["coffee.png"]).images[0]
    made = restored(zoo.denoise(DENOISER, [pixels(noisy) / np.float32(255)])[0] * 255)
    before, after = quality(noisy, clean).psnr, quality(made, clean).psnr
    return f"noise removed: {before:.1f} dB → {after:.1f} dB", halves(noisy, made)


def defects_found() -> tuple[str, Image.Image]:
    """Fit a detector on pictures of a wall, and show it defects."""
    normal, test = (zoo.load_dataset("defects", split) for split in ("train", "test"))
    detector = zoo.AnomalyDetector(
        "linear-residual-200", overrides={"image_size": 16}, score=SCORE
    ).fit(normal)
    classes = [test.label_name(index) for index in range(len(test))]
    chosen = test.images[[classes.index(name) for name in DEFECTS]]
    side = (WIDTH - 2 * 2) // 3
    panel = Image.new("RGB", (WIDTH, HEIGHT), "white")
    for place, (image, found) in enumerate(zip(chosen, detector.scored(chosen), strict=True)):
        level, threshold = detector.calibration_.level, detector.map_threshold_
        heat = draw_heatmap(image, found.map, level, threshold)
        for row, picture in enumerate((image, heat)):
            drawn = to_image(picture).resize((side, side), Image.Resampling.LANCZOS)
            panel.paste(drawn, (place * (side + 2), row * (side + 2)))
    return "defects found, from normal pictures alone", panel


def compressed() -> tuple[str, Image.Image]:
    """Reconstruct a photograph that no model saw."""
    original = photograph("chelsea.png")
    made = restored(zoo.reconstruct(MODEL, [pixels(original)])[0])
    share = math.prod(zoo.load_model(MODEL).latent_shape) / (3 * 32 * 32)
    caption = f"stored in {share:.1%} of its numbers: {quality(made, original).psnr:.1f} dB"
    return caption, halves(original, made)


def photograph(name: str) -> Tensor:
    """Read a photograph that comes with scikit-image, cropped to 3:2: uint8 3×H×W."""
    image = Image.open(PHOTOGRAPHS / name).convert("RGB")
    height = min(image.height, image.width * 2 // 3)
    return restored(np.array(image.crop((0, 0, height * 3 // 2, height))))


def halves(left: Tensor, right: Tensor) -> Image.Image:
    """Join the left half of a picture and the right half of another, with a line between them."""
    first, second = (
        to_image(each).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS) for each in (left, right)
    )
    second.paste(first.crop((0, 0, WIDTH // 2, HEIGHT)), (0, 0))
    ImageDraw.Draw(second).line((WIDTH // 2, 0, WIDTH // 2, HEIGHT), "white", 2)
    return second


def pixels(values: Tensor) -> "np.ndarray[tuple[int, ...], np.dtype[np.generic]]":
    """Return values C×H×W as H×W×C."""
    return np.ascontiguousarray(values.permute(1, 2, 0).numpy())


def restored(array: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]") -> Tensor:
    """Return pixels H×W×C as values C×H×W."""
    return torch.from_numpy(array).permute(2, 0, 1)


def to_image(values: Tensor) -> Image.Image:
    """Return values C×H×W in units of 255 as an image."""
    colour = values.expand(3, -1, -1).permute(1, 2, 0).float().round().clamp(0, 255)
    return Image.fromarray(np.ascontiguousarray(colour.to(torch.uint8).numpy()))


if __name__ == "__main__":
    main(sys.argv[1])

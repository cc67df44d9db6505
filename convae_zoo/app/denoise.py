"""Removes the noise of a picture: its own, or noise that is added to see how well it goes."""

from pathlib import Path

from PIL import Image

from convae_zoo.app.result import (
    MAX_PIXELS,
    Figures,
    Progress,
    Result,
    quality_figures,
    quality_of,
    read_picture,
)
from convae_zoo.data.whole import whole_picture
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.tasks.pictures import denoise
from convae_zoo.tasks.pictures.noise import add_noise, estimate_sigma


def denoise_picture(
    model: Autoencoder,
    path: Path,
    *,
    sigma: float | None = None,
    added: float = 0.0,
    max_pixels: int = MAX_PIXELS,
    progress: Progress = lambda _done, _total: None,
) -> Result:
    """Denoise a picture as `zoo.denoise` does.

    Args:
        model: trained with a corruption.
        path: of the picture.
        sigma: as `zoo.denoise` takes it; used by models that take it.
        added: standard deviation of noise to add first, in units of 255. The picture is then taken
            to be clean, and what the model returns is compared with it.
        max_pixels: a picture with more is refused.
        progress: called with the tiles done and their total.

    Raises:
        ZooError: the picture cannot be read, or the model fails.
    """
    picture = read_picture(path, max_pixels)
    values = add_noise(picture.values, added) if added else picture.values
    given = picture.restored(values)
    noisy = Image.fromarray(given)
    known = sigma if model.plan.takes_sigma else None
    (made,) = denoise(model, [noisy], known, progress=progress)
    figures: Figures = ()
    if added:
        found, was = quality_of(made, picture), quality_of(given, picture)
        figures = (*quality_figures(found), ("Before", str(was)))
    label = "Estimated sigma" if known is None else "Sigma"
    used = estimate_sigma(whole_picture(noisy).values) if known is None else known
    figures += ((label, f"{used:.1f} of 255"),)
    return Result(before=noisy, after=Image.fromarray(made), figures=figures)

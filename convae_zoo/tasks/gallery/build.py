"""Collecting what the gallery shows from everything installed."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import torch
from torch import Tensor
from torch.nn.functional import interpolate

import convae_zoo
from convae_zoo.data import load_dataset
from convae_zoo.data.image_file import read_image
from convae_zoo.data.load import dataset_for, training_split
from convae_zoo.errors import ZooError
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.registry import list_models
from convae_zoo.registry.specs import WeightsSpec
from convae_zoo.runtime.device import choose_device
from convae_zoo.tasks.gallery.anomalies import show_defects
from convae_zoo.tasks.gallery.boards import boards, spec_of
from convae_zoo.tasks.gallery.entries import model_cards, plugin_rows
from convae_zoo.tasks.gallery.latents import map_latents
from convae_zoo.tasks.gallery.scenes import denoise_picture, reconstruct_by_pca, reconstruct_picture
from convae_zoo.tasks.pictures.pca import picture_pca
from convae_zoo.visuals.gallery.content import Gallery, LatentMap, Reconstruction, Samples, Scene
from convae_zoo.weights import load_model
from convae_zoo.weights.names import best_on

Progress = Callable[[str, int, int], None]
"""Called with a description of the current work, the steps done, and their total."""

_SIDE = 288
"""The longer side of a picture, in pixels."""

_PHOTOGRAPHS = ("chelsea.png", "coffee.png", "astronaut.png")
_SAMPLES = 24


@attrs.frozen(kw_only=True)
class Settings:
    """What the gallery is built from.

    Attributes:
        pictures: image files to show through every model; by default photographs that come with
            scikit-image.
        measure: measure the leaderboards; else take the figures that the weights' cards state.
        device: ``auto``, ``cpu`` or ``cuda``.
        map_of: the dataset whose images the map of latents places; its best model also detects.
    """

    pictures: Sequence[str | Path] = ()
    measure: bool = True
    device: str = "auto"
    map_of: str = "photos"


def build_gallery(settings: Settings, progress: Progress = lambda *_: None) -> Gallery:
    """Run every trained model that is installed; one that fails is left out and named.

    Raises:
        DataError: a picture cannot be read.
    """
    pictures = [(path.stem, _read(path)) for path in _paths(settings.pictures)]
    names = list_models(pretrained=True)
    models: dict[str, Autoencoder] = {}
    specs: dict[str, WeightsSpec] = {}
    shown: list[list[Reconstruction]] = [[] for _ in pictures]
    samples, denoised, left_out = [], [], []
    for number, name in enumerate(names):
        progress(f"running {name}", number, len(names))
        try:
            specs[name] = spec_of(name)
            model = load_model(name, device=choose_device(settings.device))
            made = reconstructions(name, specs[name].dataset_name, model, pictures)
            if model.corruption:
                denoised += [denoise_picture(name, model, image) for _, image in pictures]
            if hasattr(model.encoder, "sample_latent"):
                samples.append(_sample(name, model))
        except ZooError as error:
            left_out.append(f"{name}: {error}")
        else:
            models[name] = model
            for scene, reconstruction in zip(shown, made, strict=False):
                scene.append(reconstruction)
    progress("measuring on datasets", len(names), len(names))
    measured = boards(models, specs, measure=settings.measure, device=settings.device)
    progress("placing latents and finding defects", len(names), len(names))
    best = best_on(settings.map_of, models)
    heatmaps, latent_map = [], None
    if best is not None:
        if settings.measure:
            _add_pca(shown, models[best], settings.map_of, pictures)
        latent_map = _map(best, models[best], settings.map_of)
        try:
            heatmaps.append(show_defects(best, models[best], settings.device))
        except ZooError as error:
            left_out.append(f"defects: {error}")
    return Gallery(
        version=convae_zoo.__version__,
        scenes=tuple(
            Scene(
                name=name,
                original=image,
                reconstructions=tuple(sorted(made, key=lambda each: -each.psnr)),
            )
            for (name, image), made in zip(pictures, shown, strict=True)
        ),
        boards=tuple(measured),
        denoised=tuple(denoised),
        heatmaps=tuple(heatmaps),
        latent_map=latent_map,
        samples=tuple(samples),
        models=tuple(model_cards()),
        plugins=tuple(plugin_rows()),
        left_out=tuple(left_out),
    )


def reconstructions(
    name: str, dataset: str, model: Autoencoder, pictures: Sequence[tuple[str, Tensor]]
) -> list[Reconstruction]:
    """Reconstruct named pictures; none by a model whose latent holds the whole image."""
    if math.prod(model.latent_shape) >= math.prod(model.image_shape):
        return []
    return [reconstruct_picture(name, dataset, model, image) for _, image in pictures]


def _paths(given: Sequence[str | Path]) -> list[Path]:
    if given:
        return [Path(path) for path in given]
    from skimage import data

    found = [Path(data.__file__).parent / name for name in _PHOTOGRAPHS]
    return [path for path in found if path.exists()]


def _read(path: Path) -> Tensor:
    """Read a picture as uint8 3×H×W, its longer side at most `_SIDE`."""
    image = read_image(path)
    side = max(image.shape[1:])
    if side <= _SIDE:
        return image
    size = [max(1, round(s * _SIDE / side)) for s in image.shape[1:]]
    scaled = interpolate(image[None].float(), size, mode="bilinear", antialias=True)
    return scaled[0].round().clamp(0, 255).to(torch.uint8)


def _sample(name: str, model: Autoencoder) -> Samples:
    generator = torch.Generator(model.device).manual_seed(0)
    images = model.postprocess(model.sample(_SAMPLES, generator=generator)).cpu()
    return Samples(model=name, images=images)


def _add_pca(
    shown: list[list[Reconstruction]],
    model: Autoencoder,
    dataset: str,
    pictures: Sequence[tuple[str, Tensor]],
) -> None:
    """Reconstruct the pictures by PCA of a model's size, too, if it can be fitted."""
    try:
        images = dataset_for(dataset, training_split(dataset), model.image_shape)
        pca = picture_pca(model, images)
    except ZooError:
        return
    for scene, (_, image) in zip(shown, pictures, strict=True):
        scene.append(reconstruct_by_pca(pca, dataset, image))


def _map(name: str, model: Autoencoder, dataset: str) -> LatentMap | None:
    """Map the latents of a dataset's images; None without its data."""
    try:
        return map_latents(
            name, model, load_dataset(dataset, split="val").fitted(model.image_shape)
        )
    except ZooError:
        return None

"""A model's metrics on a dataset, compared with those of PCA of the same latent size."""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from convae_zoo.data import ImageSet, pixels
from convae_zoo.data.corrupt import Corrupted, Corruption
from convae_zoo.data.load import dataset_for, training_split
from convae_zoo.errors import UsageError
from convae_zoo.evaluation.metrics import Metrics, measure
from convae_zoo.evaluation.pca import Baseline, fit_pca, why_no_pca
from convae_zoo.evaluation.records import Records
from convae_zoo.models.autoencoder import Autoencoder
from convae_zoo.runtime.device import choose_device
from convae_zoo.runtime.inference import Inference
from convae_zoo.runtime.modes import BATCH_SIZE, check_model, cpu_by_default, evaluating

Progress = Callable[[str, int, int], None]
"""Called with a description of the current work, the images done, and their total."""


EXACT = 1e-9
"""An MSE in [0, 1] below which a reconstruction counts as exact: a thousandth of the error of
rounding to 8 bits."""


@attrs.frozen(kw_only=True)
class Evaluation(Records):
    """The result of `evaluate`.

    Attributes:
        name: the model's name.
        dataset: the dataset's name.
        split: the split that was measured.
        images: number of images in the split.
        fingerprint: sha256 of these images, fitted to the model.
        corruption: of the images that are reconstructed; the metrics compare with the clean ones.
        latent_floats: floats of one latent.
        compression_ratio: pixel values of an image per float of its latent.
        value_range: the model's, to which `Metrics.mse_in_range` refers.
        figures: the metrics that the model's parts report, such as a codebook's usage.
        model: the model's metrics.
        pca: the metrics of PCA with `latent_floats` components; None if there is none.
        pca_images: number of images of the train split that PCA was fitted on.
        pca_reason: why there is no PCA.
    """

    name: str
    dataset: str
    split: str
    images: int
    fingerprint: str
    corruption: str | None = None
    latent_floats: int
    compression_ratio: float
    value_range: tuple[float, float]
    model: Metrics
    figures: dict[str, float] = attrs.field(factory=dict)
    pca: Metrics | None = None
    pca_images: int | None = None
    pca_reason: str | None = None

    @property
    def ratio_to_pca(self) -> float | None:
        """The model's MSE divided by PCA's: below 1 the model is better.

        None without PCA, or if PCA is exact up to rounding, as it is if no more pixel values vary
        than the latent has floats.
        """
        return None if self.pca is None else ratio_of(self.model.mse, self.pca.mse)

    def to_json(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return {**attrs.asdict(self), "ratio_to_pca": self.ratio_to_pca}

    def to_records(self) -> list[dict[str, Any]]:
        """Return the metrics of the model and, if there is one, of PCA."""
        rows = [(self.name, self.model), (f"PCA-{self.latent_floats}", self.pca)]
        return [{"name": n, **attrs.asdict(metrics)} for n, metrics in rows if metrics is not None]

    def __repr__(self) -> str:
        """Return the figures in one line."""
        ssim = "" if self.model.ssim is None else f", SSIM {self.model.ssim:.4f}"
        ratio = self.ratio_to_pca
        pca = "" if ratio is None else f", {ratio:.3f} of PCA's MSE"
        return (
            f"Evaluation({self.name} on {self.images:,} images of {self.dataset}, split "
            f"{self.split}: MSE {self.model.mse:.6f}, PSNR {self.model.psnr:.2f} dB{ssim}{pca})"
        )


def ratio_of(mse: float, pca_mse: float) -> float | None:
    """Divide a model's MSE by PCA's, both in [0, 1]; None if PCA is exact."""
    return None if pca_mse < EXACT else mse / pca_mse


@cpu_by_default()
def evaluate(
    model: Autoencoder,
    dataset: str | ImageSet,
    split: str | None = None,
    *,
    corruption: str | None = None,
    train: ImageSet | None = None,
    data: str | Path | None = None,
    download: bool = False,
    baseline: bool = True,
    batch_size: int = BATCH_SIZE,
    device: str = "auto",
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a model's reconstructions, and those of PCA with one component per latent float.

    The images are fitted to the model's shape. Every figure is a mean over images, independent of
    the batch size. The model's mode and device are restored.

    Args:
        model: an autoencoder.
        dataset: a dataset's name, or a set of images (then `split` is the set's own).
        split: the split to measure; by default the one that models are validated on.
        corruption: what the images are corrupted with before they are reconstructed, as in
            ``"gaussian(sigma=25)"``; each image always gets the same noise.
        train: the images to fit PCA on if `dataset` is a set of images; for a dataset's name they
            are its train split.
        data: the folder that holds the data, for datasets that read one.
        download: download missing data, for datasets that can.
        baseline: whether to fit PCA.
        batch_size: images per batch.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: called after each batch; see `Progress`.

    Raises:
        UnknownNameError: no such dataset, split or corruption.
        ConfigError: a value of the corruption, or of the dataset, that is not allowed.
        UsageError: no model, a batch size below 1, or a device that is not available.
        DataError: the data is missing, cannot be read or cannot be fitted to the model, or the
            reconstructions are not finite.
    """
    check_model(model)
    if batch_size < 1:
        raise UsageError(f"batch_size must be at least 1, got {batch_size}")
    if not isinstance(dataset, str | ImageSet):
        raise UsageError(f"dataset must be a name or an ImageSet, got {dataset!r:.80}")
    corrupt = Corruption(corruption) if corruption else None
    chosen, report = choose_device(device), progress or _silent

    def load(name: str, which: str | None) -> ImageSet:
        return dataset_for(name, which, model.image_shape, data=data, download=download)

    images = load(dataset, split) if isinstance(dataset, str) else dataset.fitted(model.image_shape)
    with evaluating(model, chosen):
        parts = _batches(f"measuring {model.name}", images, corrupt, batch_size, report)
        metrics = measure(_model_pairs(model, parts), model.value_range)
        figures = model.report(images.images, batch_size=batch_size)

    def train_images() -> ImageSet | None:
        if not isinstance(dataset, str):
            return train
        first = training_split(dataset)
        return images if split == first else load(dataset, first)

    floats, values = math.prod(model.latent_shape), math.prod(model.image_shape)
    fitted_or_reason: Baseline | str = "PCA was not requested"
    if baseline:
        fitted_or_reason = _fit(train_images, model.image_shape, floats, report)
    fitted = None if isinstance(fitted_or_reason, str) else fitted_or_reason
    pca = None
    if fitted is not None:
        parts = _batches(f"measuring PCA-{floats}", images, corrupt, batch_size, report)
        pairs = ((_unit(x), fitted.reconstruct(_unit(given.images))) for x, given in parts)
        pca = measure(pairs, model.value_range)
    return Evaluation(
        name=model.name,
        dataset=images.name,
        split=images.split,
        images=len(images),
        fingerprint=images.fingerprint,
        corruption=corruption or None,
        latent_floats=floats,
        compression_ratio=values / floats,
        value_range=model.value_range,
        model=metrics,
        figures=figures,
        pca=pca,
        pca_images=fitted.images if fitted else None,
        pca_reason=fitted_or_reason if isinstance(fitted_or_reason, str) else None,
    )


def _fit(
    train_images: Callable[[], ImageSet | None],
    image_shape: tuple[int, int, int],
    floats: int,
    report: Progress,
) -> Baseline | str:
    """Fit PCA, or return why it cannot be fitted; load the images only if it may be possible."""
    values = math.prod(image_shape)
    if reason := why_no_pca(floats, values):
        return reason
    train = train_images()
    if train is None:
        return "no train images were given to fit PCA on"
    if reason := why_no_pca(floats, values, len(train)):
        return reason
    report(f"fitting PCA-{floats}", 0, 0)
    return fit_pca(train.fitted(image_shape).images, floats)


def _batches(
    what: str, images: ImageSet, corrupt: Corruption | None, size: int, report: Progress
) -> Iterator[tuple[Tensor, Corrupted]]:
    """Yield batches of clean images, uint8, with what is reconstructed."""
    done = 0
    for part in torch.split(images.images, size):
        report(what, done, len(images))
        places = list(range(done, done + len(part)))
        yield part, Corrupted(part) if corrupt is None else corrupt.fixed(part, places)
        done += len(part)
    report(what, done, len(images))


def _model_pairs(
    model: Autoencoder, parts: Iterable[tuple[Tensor, Corrupted]]
) -> Iterator[tuple[Tensor, Tensor]]:
    low, high = model.value_range
    run = Inference(model, repeatable=True)
    for part, given in parts:
        sigma = None if given.sigma is None else given.sigma.to(model.device) / 255
        raw = run(model.to_float(given.images), sigma)
        yield _unit(part.to(model.device)), (raw - low) / (high - low)


def _unit(images: Tensor) -> Tensor:
    return pixels.to_float(images, (0.0, 1.0))


def _silent(_what: str, _done: int, _total: int) -> None:
    """Show no progress."""

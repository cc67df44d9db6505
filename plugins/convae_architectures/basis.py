"""The initial basis of the linear path: cosines, or the principal components of images."""

import math
import weakref

import attrs
import torch
from torch import Tensor

_CHUNK = 4096
_MIN_DEVIATION = 1e-3
_GREY_LEVEL = 1 / 255


@attrs.frozen(kw_only=True, eq=False)
class Basis:
    """Orthonormal directions in the space of images, strongest first.

    Attributes:
        mean: float32, D: the point that the directions start from.
        directions: float32, K×D.
        deviations: float32, K: the standard deviation of images along each direction.
    """

    mean: Tensor
    directions: Tensor
    deviations: Tensor


def cosine_basis(count: int, channels: int, size: int) -> Basis:
    """Return the cosines of lowest frequency, which approximate images' principal components.

    They are the basis of the type-II cosine transform over channels, rows and columns: orthonormal
    and deterministic. The deviations are 1, as there is no data.
    """
    tables = [_cosines(n) for n in (channels, size, size)]
    frequencies = torch.cartesian_prod(*(torch.arange(len(t)) for t in tables)).view(-1, 3)
    # A change of colour counts as one of half the image's size: colours change slowly.
    weights = torch.tensor([size / 2, 1.0, 1.0])
    chosen = (frequencies * weights).square().sum(1).sort(stable=True).indices[:count]
    c, y, x = frequencies[chosen].T
    directions = torch.einsum("ki,kj,kl->kijl", tables[0][c], tables[1][y], tables[2][x])
    values = channels * size**2
    return Basis(
        mean=torch.zeros(values),
        directions=directions.reshape(count, values),
        deviations=torch.ones(count),
    )


def _cosines(n: int) -> Tensor:
    """The orthonormal cosine transform of n points, float32 n×n, a row per frequency."""
    points = torch.arange(n, dtype=torch.float64)
    rows = torch.cos(math.pi / n * torch.outer(points, points + 0.5)) * math.sqrt(2 / n)
    rows[0] /= math.sqrt(2)
    return rows.float()


_kept: list[tuple[weakref.ref[Tensor], object, Basis]] = []


def principal_basis(images: Tensor, count: int, value_range: tuple[float, float]) -> Basis:
    """Return up to `count` principal components of images.

    The encoder and the decoder of a model need the same basis of the same images, so the last one
    is cached.

    Args:
        images: uint8, N×C×H×W.
        count: the most components to return.
        value_range: the range that the images are mapped to.
    """
    asked = (count, value_range, images._version)  # noqa: SLF001 - detects a change in place
    for kept_images, kept_asked, basis in _kept:
        if kept_images() is images and kept_asked == asked:
            return basis
    basis = _fit(images, count, value_range)
    _kept[:] = [(weakref.ref(images), asked, basis)]
    return basis


def _fit(images: Tensor, count: int, value_range: tuple[float, float]) -> Basis:
    # Imported here: scikit-learn imports slowly, and loading trained weights does not need it.
    from convae_zoo.evaluation import fit_pca, fitted_images

    values = math.prod(images.shape[1:])
    pca = fit_pca(images, min(count, values, fitted_images(len(images), values)))
    squares = torch.zeros(len(pca.components), dtype=torch.float64)
    for chunk in torch.split(images, _CHUNK):
        centred = chunk.flatten(1).float().div_(255).sub_(pca.mean)
        squares += (centred @ pca.components.T).double().square().sum(0)
    deviations = (squares / len(images)).sqrt().float()
    # Directions in which the images do not differ would be scaled up without bound.
    minimum = max(float(deviations.max()) * _MIN_DEVIATION, _GREY_LEVEL)
    low, high = value_range
    return Basis(
        mean=pca.mean * (high - low) + low,
        directions=pca.components,
        deviations=deviations.clamp_min(minimum) * (high - low),
    )

"""What a detector must beat: PCA, nearest neighbours and a one-class SVM on the same images."""

import math
from collections.abc import Callable, Iterator

import torch
from sklearn.svm import OneClassSVM
from torch import Tensor
from torch.nn.functional import interpolate

from convae_zoo.evaluation.pca import Baseline, fit_pca, fitted_images

MOST_SIDE = 32
"""Larger images are scaled down to this side, since pixels are the features."""

NEIGHBOURS = 2
SVM_COMPONENTS = 64
SVM_IMAGES = 6000  # the kernel has a row and a column per image
NU = 0.1
_CHUNK = 500


def detection_baselines(
    normal: Tensor, images: Tensor, components: int
) -> Iterator[tuple[str, Tensor]]:
    """Fit each baseline to normal images and score others: yield names and scores, float N.

    - ``PCA-k``: the squared error of a reconstruction from k principal components.
    - ``2 nearest neighbours``: the mean distance to the two nearest normal images.
    - ``one-class SVM``: scikit-learn's, with an RBF kernel, on up to 64 principal components.

    Args:
        normal: uint8 N×C×H×W.
        images: uint8 M×C×H×W.
        components: k, the floats of a latent; fewer where PCA allows no more.
    """
    normal, images = _shrunk(normal), _shrunk(images)
    values = math.prod(normal.shape[1:])
    most = min(values, fitted_images(len(normal), values))
    pca = fit_pca(normal, min(components, most))
    yield (
        f"PCA-{len(pca.components)}",
        _by_chunk(images, lambda x: (x - pca.reconstruct(x)).square().flatten(1).mean(1)),
    )
    known = _unit(normal).flatten(1)
    count = min(NEIGHBOURS, len(known))
    yield (
        f"{count} nearest neighbours",
        _by_chunk(images, lambda x: _nearest(x.flatten(1), known, count)),
    )
    small = fit_pca(normal, min(SVM_COMPONENTS, most))
    chosen = torch.linspace(0, len(normal) - 1, min(len(normal), SVM_IMAGES)).long()
    machine = OneClassSVM(nu=NU, gamma="scale")
    machine.fit(_projected(small, _unit(normal[chosen])).numpy())
    yield (
        "one-class SVM",
        _by_chunk(
            images,
            lambda x: -torch.from_numpy(machine.score_samples(_projected(small, x).numpy())),
        ),
    )


def _shrunk(images: Tensor) -> Tensor:
    factor = MOST_SIDE / max(images.shape[2:])
    if factor >= 1:
        return images
    size = [max(1, round(side * factor)) for side in images.shape[2:]]
    parts = [
        interpolate(part.float(), size, mode="bilinear", antialias=True).round().to(torch.uint8)
        for part in torch.split(images, 1)
    ]
    return torch.cat(parts)


def _unit(images: Tensor) -> Tensor:
    return images.float() / 255


def _by_chunk(images: Tensor, score: Callable[[Tensor], Tensor]) -> Tensor:
    return torch.cat([score(_unit(part)) for part in torch.split(images, _CHUNK)])


def _nearest(x: Tensor, known: Tensor, count: int) -> Tensor:
    return torch.cdist(x, known).topk(count, dim=1, largest=False).values.mean(dim=1)


def _projected(pca: Baseline, x: Tensor) -> Tensor:
    return (x.flatten(1) - pca.mean) @ pca.components.T

"""Denoisers to compare: the classic ones, which get the true sigma, and models of the zoo.

Each maps a noisy picture H×W×C, black 0 and white 1, and its sigma on that scale to a clean one.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

import convae_zoo as zoo
from convae_zoo.tasks.pictures import Denoiser

Array: TypeAlias = "np.ndarray[Any, Any]"
Method: TypeAlias = Callable[[Array, float], Array]

_COLOUR = 3


def bm3d(picture: Array, sigma: float) -> Array:
    """Denoise with BM3D, or with CBM3D in colour."""
    import bm3d as package

    exact = picture.astype(np.float64)
    if exact.shape[2] == _COLOUR:
        colour: Array = package.bm3d_rgb(exact, sigma)
        return colour
    grey: Array = package.bm3d(exact[..., 0], sigma)
    return grey.reshape(picture.shape)


def non_local_means(picture: Array, sigma: float) -> Array:
    """Denoise with non-local means, with the settings of scikit-image's example."""
    is_colour = picture.shape[2] == _COLOUR
    result: Array = denoise_nl_means(
        picture if is_colour else picture[..., 0],
        h=0.6 * sigma,
        sigma=sigma,
        patch_size=5,
        patch_distance=6,
        channel_axis=-1 if is_colour else None,
    )
    return result.reshape(picture.shape)


def wavelet(picture: Array, sigma: float) -> Array:
    """Denoise with wavelets, BayesShrink, in YCbCr for colour."""
    result: Array = denoise_wavelet(
        picture,
        sigma=sigma,
        convert2ycbcr=picture.shape[2] == _COLOUR,
        rescale_sigma=True,
        channel_axis=-1,
    )
    return result


def total_variation(picture: Array, sigma: float) -> Array:
    """Denoise by minimising the total variation."""
    result: Array = denoise_tv_chambolle(picture, weight=sigma, channel_axis=-1)
    return result


CLASSIC: dict[str, Method] = {
    "bm3d": bm3d,
    "non-local means": non_local_means,
    "wavelet": wavelet,
    "total variation": total_variation,
}


def of_model(name: str) -> Method:
    """Make a denoiser of a blind model of the zoo, as `zoo.denoise` applies it."""
    run = Denoiser(zoo.load_model(name))

    def denoise(picture: Array, sigma: float) -> Array:  # noqa: ARG001 - it is blind
        values = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))) * 255
        result: Array = run(values).permute(1, 2, 0).numpy() / 255
        return result

    denoise(np.zeros((64, 64, _COLOUR), np.float32), 0)  # warm up
    return denoise

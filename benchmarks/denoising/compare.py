"""Compare denoisers on the same noisy pictures: ``python -m benchmarks.denoising.compare --help``.

The pictures are chelsea and coffee (scikit-image), six photographs of Debian's
plasma-workspace-wallpapers reduced by 4, and four of its libjxl-testdata (``jxl/flower/flower.png``
reduced by 4, and ``external/wesaturate``). White noise is added to floats and clipped only after
denoising. All methods but the zoo's blind one get the true sigma.

Results are kept in one JSON file, method by method: what is in it already is not measured again,
but for the zoo's model.
"""

import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

import click
import numpy as np
import torch
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet
from torch.nn import functional

import convae_zoo as zoo
from benchmarks.conftest import device_name
from benchmarks.denoising.photographs import reduced
from convae_zoo.files import write_text

Array: TypeAlias = "np.ndarray[Any, Any]"
Denoiser: TypeAlias = Callable[[Array, float], Array]
"""Maps a noisy picture H×W×3, black 0 and white 1, and the noise's sigma to a clean one."""

SIGMAS = (15, 25, 50)
WALLPAPERS = ("EveningGlow", "FallenLeaf", "ColorfulCups", "Kite", "summer_1am", "ColdRipple")
FACTOR = 4


def pictures(wallpapers: Path, testdata: Path) -> dict[str, Array]:
    """Read the pictures, uint8 H×W×3, by name."""
    found = {"chelsea": data.chelsea(), "coffee": data.coffee()}
    files = {name: wallpapers / name / "contents/images/2560x1600.jpg" for name in WALLPAPERS}
    files["flower"] = testdata / "jxl/flower/flower.png"
    for name, file in files.items():
        found[name] = np.asarray(reduced(Image.open(file).convert("RGB"), FACTOR))
    for file in sorted((testdata / "external/wesaturate/500px").glob("*_srgb8.png")):
        found[file.stem.removesuffix("_srgb8")] = np.asarray(Image.open(file).convert("RGB"))
    return found


def noisy(picture: Array, sigma: int, number: int) -> Array:
    """Add white noise to a picture; every method gets the same."""
    generator = torch.Generator().manual_seed(1000 * number + sigma)
    noise = torch.randn((3, *picture.shape[:2]), generator=generator).permute(1, 2, 0).numpy()
    added: Array = picture / np.float32(255) + noise * np.float32(sigma / 255)
    return added


def bm3d(picture: Array, sigma: float) -> Array:
    """Denoise with CBM3D."""
    from bm3d import bm3d_rgb

    result: Array = bm3d_rgb(picture.astype(np.float64), sigma)
    return result


def non_local_means(picture: Array, sigma: float) -> Array:
    """Denoise with non-local means, with the settings of scikit-image's example."""
    result: Array = denoise_nl_means(
        picture, h=0.6 * sigma, sigma=sigma, patch_size=5, patch_distance=6, channel_axis=-1
    )
    return result


def wavelet(picture: Array, sigma: float) -> Array:
    """Denoise with wavelets, BayesShrink in YCbCr."""
    result: Array = denoise_wavelet(
        picture, sigma=sigma, convert2ycbcr=True, rescale_sigma=True, channel_axis=-1
    )
    return result


def total_variation(picture: Array, sigma: float) -> Array:
    """Denoise by minimising the total variation."""
    result: Array = denoise_tv_chambolle(picture, weight=sigma, channel_axis=-1)
    return result


def of_model(name: str) -> Denoiser:
    """Make a denoiser of a blind model of the zoo."""
    model = zoo.load_model(name)
    inference = zoo.Inference(model)
    low, high = model.value_range
    multiple = 8

    def denoise(picture: Array, sigma: float) -> Array:  # noqa: ARG001 - it is blind
        height, width = picture.shape[:2]
        x = torch.from_numpy(picture).permute(2, 0, 1)[None] * (high - low) + low
        x = functional.pad(x, (0, -width % multiple, 0, -height % multiple), mode="reflect")
        y = (inference(x)[0, :, :height, :width].permute(1, 2, 0) - low) / (high - low)
        result: Array = y.numpy()
        return result

    denoise(np.zeros((64, 64, 3), np.float32), 0)  # warm up
    return denoise


CLASSIC: dict[str, Denoiser] = {
    "cbm3d": bm3d,
    "non-local means": non_local_means,
    "wavelet": wavelet,
    "total variation": total_variation,
}


def measure(denoise: Denoiser, picture: Array, sigma: int, number: int) -> dict[str, float]:
    """Denoise one picture; return PSNR, SSIM, and seconds of CPU per megapixel."""
    x = noisy(picture, sigma, number)
    begun = time.process_time()
    y = denoise(x, sigma / 255).clip(0, 1)
    seconds = time.process_time() - begun
    clean = picture / 255
    return {
        "psnr": peak_signal_noise_ratio(clean, y, data_range=1),
        "ssim": structural_similarity(clean, y.astype(np.float64), data_range=1, channel_axis=-1),
        "cpu_seconds_per_megapixel": seconds / (picture.shape[0] * picture.shape[1] / 1e6),
    }


def summary(results: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Average over the pictures: PSNR and SSIM at each sigma, and the time."""
    table: dict[str, dict[str, float]] = {}
    for method, cases in results.items():
        row = table[method] = {}
        for figure in ("psnr", "ssim"):
            for sigma in SIGMAS:
                of_sigma = [v[figure] for case, v in cases.items() if case.endswith(f" {sigma}")]
                row[f"{figure}_{sigma}"] = fmean(of_sigma)
        row["cpu_seconds_per_megapixel"] = fmean(
            v["cpu_seconds_per_megapixel"] for v in cases.values()
        )
    return table


def print_table(table: dict[str, dict[str, float]]) -> None:
    """Print a Markdown table."""
    click.echo("| method | PSNR 15 | 25 | 50 | SSIM 15 | 25 | 50 | CPU seconds per megapixel |")
    click.echo("|---|--:|--:|--:|--:|--:|--:|--:|")
    for method, row in table.items():
        psnr = " | ".join(f"{row[f'psnr_{sigma}']:.2f}" for sigma in SIGMAS)
        ssim = " | ".join(f"{row[f'ssim_{sigma}']:.3f}" for sigma in SIGMAS)
        click.echo(f"| {method} | {psnr} | {ssim} | {row['cpu_seconds_per_megapixel']:.3g} |")


@click.command()
@click.option("--wallpapers", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--testdata", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--model", help="A name of the zoo's, or a weights file, to compare.")
@click.option("--method", "methods", multiple=True, type=click.Choice(list(CLASSIC)))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The results.")
def main(
    wallpapers: Path, testdata: Path, model: str | None, methods: tuple[str, ...], out: Path
) -> None:
    """Measure denoisers and print a table of all results."""
    document = json.loads(out.read_text("utf-8")) if out.exists() else {"results": {}}
    results = document["results"]
    chosen = {name: CLASSIC[name] for name in methods}
    if model is not None:
        results.pop("zoo", None)
        chosen["zoo"] = of_model(model)
    for method, denoise in chosen.items():
        cases = results.setdefault(method, {})
        for number, (name, picture) in enumerate(pictures(wallpapers, testdata).items()):
            for sigma in SIGMAS:
                case = f"{name} {sigma}"
                if case not in cases:
                    cases[case] = measure(denoise, picture, sigma, number)
                    click.echo(f"{method}, {case}: {cases[case]['psnr']:.2f} dB", err=True)
                    document |= {
                        "device": device_name(torch.device("cpu")),
                        "threads": torch.get_num_threads(),
                        "python": platform.python_version(),
                        "versions": {p: version(p) for p in ("torch", "scikit-image")},
                    }
                    write_text(out, json.dumps(document, indent=1) + "\n")
    table = summary(results)
    document["summary"] = table
    write_text(out, json.dumps(document, indent=1) + "\n")
    print_table(table)


if __name__ == "__main__":
    main()

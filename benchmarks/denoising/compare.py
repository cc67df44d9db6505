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
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import numpy as np
import torch
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from benchmarks.conftest import device_name
from benchmarks.denoising.methods import CLASSIC, Array, Method, of_model
from benchmarks.denoising.photographs import reduced
from convae_zoo.files import write_text

SIGMAS = (15, 25, 50)
WALLPAPERS = ("EveningGlow", "FallenLeaf", "ColorfulCups", "Kite", "summer_1am", "ColdRipple")
FACTOR = 4

Cases = dict[str, dict[str, float]]
"""The figures of a method by picture and sigma."""


def pictures(wallpapers: Path, testdata: Path, *, grey: bool = False) -> dict[str, Array]:
    """Read the pictures by name, uint8 H×W×3, or H×W×1 if they are to be grey."""
    images = {"chelsea": Image.fromarray(data.chelsea()), "coffee": Image.fromarray(data.coffee())}
    files = {name: wallpapers / name / "contents/images/2560x1600.jpg" for name in WALLPAPERS}
    files["flower"] = testdata / "jxl/flower/flower.png"
    for name, file in files.items():
        images[name] = reduced(Image.open(file).convert("RGB"), FACTOR)
    for file in sorted((testdata / "external/wesaturate/500px").glob("*_srgb8.png")):
        images[file.stem.removesuffix("_srgb8")] = Image.open(file).convert("RGB")
    if grey:
        return {name: np.asarray(image.convert("L"))[..., None] for name, image in images.items()}
    return {name: np.asarray(image) for name, image in images.items()}


def noisy(picture: Array, sigma: int, number: int) -> Array:
    """Add white noise to a picture; every method gets the same."""
    height, width, channels = picture.shape
    generator = torch.Generator().manual_seed(1000 * number + sigma)
    noise = torch.randn((channels, height, width), generator=generator).permute(1, 2, 0).numpy()
    added: Array = picture / np.float32(255) + noise * np.float32(sigma / 255)
    return added


def measure(denoise: Method, picture: Array, sigma: int, number: int) -> dict[str, float]:
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


def summary(results: dict[str, Cases]) -> Cases:
    """Average over the pictures: PSNR and SSIM at each sigma, and the time."""
    table: Cases = {}
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


def print_table(table: Cases) -> None:
    """Print a Markdown table."""
    click.echo("| method | PSNR 15 | 25 | 50 | SSIM 15 | 25 | 50 | CPU seconds per megapixel |")
    click.echo("|---|--:|--:|--:|--:|--:|--:|--:|")
    for method, row in table.items():
        psnr = " | ".join(f"{row[f'psnr_{sigma}']:.2f}" for sigma in SIGMAS)
        ssim = " | ".join(f"{row[f'ssim_{sigma}']:.3f}" for sigma in SIGMAS)
        click.echo(f"| {method} | {psnr} | {ssim} | {row['cpu_seconds_per_megapixel']:.3g} |")


def conditions() -> dict[str, Any]:
    """Return where and when something is measured."""
    return {
        "device": device_name(torch.device("cpu")),
        "threads": torch.get_num_threads(),
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": {p: version(p) for p in ("torch", "scikit-image")},
    }


def save(out: Path, document: dict[str, Any]) -> None:
    """Write the results."""
    write_text(out, json.dumps(document, indent=1) + "\n")


@click.command()
@click.option("--wallpapers", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--testdata", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--model", help="A name of the zoo's, or a weights file, to compare.")
@click.option("--method", "methods", multiple=True, type=click.Choice(list(CLASSIC)))
@click.option("--grey", is_flag=True, help="Compare on the pictures in grey.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The results.")
def main(
    wallpapers: Path,
    testdata: Path,
    model: str | None,
    methods: tuple[str, ...],
    out: Path,
    *,
    grey: bool,
) -> None:
    """Measure denoisers and print a table of all results."""
    document = json.loads(out.read_text("utf-8")) if out.exists() else {}
    part = document.setdefault("grey" if grey else "colour", {})
    results = part.setdefault("results", {})
    chosen = {name: CLASSIC[name] for name in methods}
    if model is not None:
        results.pop("zoo", None)
        chosen["zoo"] = of_model(model)
    for method, denoise in chosen.items():
        cases = results.setdefault(method, {})
        for number, (name, picture) in enumerate(pictures(wallpapers, testdata, grey=grey).items()):
            for sigma in SIGMAS:
                case = f"{name} {sigma}"
                if case not in cases:
                    cases[case] = measure(denoise, picture, sigma, number)
                    click.echo(f"{method}, {case}: {cases[case]['psnr']:.2f} dB", err=True)
                    part.setdefault("measured", {})[method] = conditions()
                    save(out, document)
    part["summary"] = summary(results)
    save(out, document)
    print_table(part["summary"])


if __name__ == "__main__":
    main()

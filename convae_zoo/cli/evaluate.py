"""``convae-zoo evaluate``."""

import math
from typing import TYPE_CHECKING

import click

from convae_zoo.cli.options import dataset_options, device_option, json_option
from convae_zoo.cli.output import print_fields, print_json, print_line, print_table

if TYPE_CHECKING:
    from convae_zoo.evaluation import Evaluation, Metrics


@click.command(name="evaluate")
@click.argument("model")
@dataset_options
@click.option("--split", help="The split to measure; by default the validation split.")
@click.option(
    "--corruption",
    metavar="EXPR",
    help="Corrupt the images that are reconstructed: 'gaussian(sigma=25)'.",
)
@click.option("--no-baseline", is_flag=True, help="Do not fit PCA.")
@device_option
@json_option
def command(
    *,
    model: str,
    dataset: str,
    data: str | None,
    download: bool,
    split: str | None,
    corruption: str | None,
    no_baseline: bool,
    device: str,
    as_json: bool,
) -> None:
    """Measure MODEL on a dataset, and PCA with as many components as its latent has floats.

    MODEL is the name of trained weights, a .safetensors file or a run folder. With --corruption the
    reconstructions of corrupted images are compared with the clean images. MSE is computed on
    unclipped values, PSNR and SSIM on values clipped to [0, 1]; all are means over images.
    Sharpness is the edge strength divided by that of the originals: below 1, images are blurred.

    \b
    Example: convae-zoo evaluate runs/first --dataset photos
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.evaluation import evaluate
    from convae_zoo.runtime.progress import stage_progress
    from convae_zoo.weights.load import load_model

    trained = load_model(model)
    with stage_progress() as progress:
        found = evaluate(
            trained,
            dataset,
            split,
            corruption=corruption,
            data=data,
            download=download,
            baseline=not no_baseline,
            device=device,
            progress=progress,
        )
    if as_json:
        print_json(found.to_json())
    else:
        is_tag = model.startswith(
            f"{found.name}."
        )  # of registered weights, as in convae-200.photos
        _print(model if is_tag else found.name, found, math.prod(trained.image_shape))


def _print(name: str, found: "Evaluation", values: int) -> None:
    low, high = found.value_range
    given = f" under {found.corruption}" if found.corruption else ""
    print_line(
        f"{name} on {found.dataset}, split {found.split}{given}: {found.images:,} images, "
        f"{found.latent_floats:,} latent floats for {values:,} pixel values "
        f"({found.compression_ratio:.1f} : 1)"
    )
    ratio = found.ratio_to_pca
    rows = [(name, *_cells(found.model), "" if ratio is None else f"{ratio:.3f}")]
    if found.pca is not None:
        rows.append((f"PCA-{found.latent_floats}", *_cells(found.pca), "1.000"))
    head = (
        "",
        "mse in [0, 1]",
        f"mse in [{low:g}, {high:g}]",
        "psnr",
        "ssim",
        "sharpness",
        "mse / pca's",
    )
    print_table(head, rows)
    print_fields([(figure, f"{value:g}") for figure, value in found.figures.items()])
    if found.pca is not None:
        print_line(f"PCA was fitted on {found.pca_images:,} training images")
    else:
        print_line(f"no PCA: {found.pca_reason}")


def _cells(metrics: "Metrics") -> tuple[str, str, str, str, str]:
    similarity = "-" if metrics.ssim is None else f"{metrics.ssim:.4f}"
    sharpness = "-" if metrics.sharpness is None else f"{metrics.sharpness:.3f}"
    return (
        f"{metrics.mse:.6f}",
        f"{metrics.mse_in_range:.6f}",
        f"{metrics.psnr:.2f} dB",
        similarity,
        sharpness,
    )

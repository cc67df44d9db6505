"""``convae-zoo leaderboard``."""

from typing import TYPE_CHECKING

import click

from convae_zoo.cli.options import dataset_options, device_option, json_option, overwrite_option
from convae_zoo.cli.output import print_json, print_line, print_table
from convae_zoo.cli.outputs import claimed

if TYPE_CHECKING:
    from convae_zoo.evaluation.leaderboard import Leaderboard
    from convae_zoo.models.autoencoder import Autoencoder


@click.command(name="leaderboard")
@click.argument("models", nargs=-1, metavar="[MODEL_OR_FILE]...")
@dataset_options
@click.option("--out", metavar="FILE", help="The picture to write, a PNG file.")
@overwrite_option
@device_option
@json_option
def command(
    *,
    models: tuple[str, ...],
    dataset: str,
    data: str | None,
    download: bool,
    out: str | None,
    overwrite: bool,
    device: str,
    as_json: bool,
) -> None:
    """Compare all weights trained on a dataset, and any further models.

    MODEL_OR_FILE is the name of trained weights, a .safetensors file or a run folder. The models
    are sorted by MSE on the validation split. The last column is the MSE divided by that of PCA
    with as many components as a latent has floats. FLOPs are for encoding and decoding one image.

    \b
    Example: convae-zoo leaderboard --dataset photos --out leaderboard.png
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo import visuals
    from convae_zoo.evaluation.leaderboard import leaderboard

    if out is not None:
        visuals.check_picture_path(out)
    with claimed(out, models=models, data=data, overwrite=overwrite):
        board = leaderboard(
            _loaded(models, dataset), dataset, data=data, download=download, device=device
        )
        if as_json:
            print_json(board.to_json())
        else:
            _print(board)
        if out is not None:
            from convae_zoo.visuals.leaderboard import save_leaderboard

            save_leaderboard(out, board)
            if not as_json:
                click.echo(f"picture  {out}")


def _loaded(given: tuple[str, ...], dataset: str) -> "dict[str, Autoencoder]":
    """Load the given models and the registered ones of the same image shape."""
    from convae_zoo.evaluation.leaderboard import fits, trained_on
    from convae_zoo.weights.load import load_model

    loaded = {name: load_model(name) for name in given}
    for name in trained_on(dataset):
        shape = next((model.image_shape for model in loaded.values()), None)
        if name not in loaded and (shape is None or fits(name, shape)):
            loaded[name] = load_model(name)
    return loaded


def _print(board: "Leaderboard") -> None:
    print_line(f"{board.dataset}, split {board.split}: {board.images:,} images")
    head = ("model", "latent floats", "FLOPs", "parameters", "mse", "psnr", "ssim", "mse / pca's")
    rows = []
    for row in board.rows:
        ssim, ratio = row.metrics.ssim, row.ratio_to_pca
        rows.append(
            (
                row.name,
                f"{row.latent_floats:,}",
                f"{row.flops:,}",
                f"{row.parameters:,}",
                f"{row.metrics.mse:.6f}",
                f"{row.metrics.psnr:.2f} dB",
                "-" if ssim is None else f"{ssim:.4f}",
                "-" if ratio is None else f"{ratio:.3f}",
            )
        )
    print_table(head, rows)

"""Time denoisers side by side: ``python -m benchmarks.denoising.speed --help``.

Every method gets the same two noisy pictures, chelsea and coffee, one after the other in every
round, so that whatever else the machine does affects all of them. BM3D uses all cores on its own.
"""

import json
import time
from pathlib import Path
from statistics import median

import click
import torch
from skimage import data

from benchmarks.denoising.compare import conditions, noisy, save
from benchmarks.denoising.methods import CLASSIC, Array, Method, of_model

SIGMA = 25


def wall_seconds(
    methods: dict[str, Method], pictures: list[Array], rounds: int
) -> dict[str, float]:
    """Return each method's median wall time per megapixel, over all pictures of a round."""
    inputs = [noisy(picture, SIGMA, number) for number, picture in enumerate(pictures)]
    megapixels = sum(x.shape[0] * x.shape[1] for x in inputs) / 1e6
    times: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(rounds):
        for name, denoise in methods.items():
            begun = time.perf_counter()
            for x in inputs:
                denoise(x, SIGMA / 255)
            times[name].append((time.perf_counter() - begun) / megapixels)
            click.echo(f"{name}: {times[name][-1]:.3g} s per megapixel", err=True)
    return {name: median(found) for name, found in times.items()}


@click.command()
@click.option("--model", default="unet-denoiser.photographs", show_default=True)
@click.option("--threads", default=2, show_default=True, help="Of PyTorch.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The results.")
def main(model: str, threads: int, rounds: int, out: Path) -> None:
    """Measure wall seconds per megapixel, and add them to the results."""
    torch.set_num_threads(threads)
    methods = CLASSIC | {"zoo": of_model(model)}
    seconds = wall_seconds(methods, [data.chelsea(), data.coffee()], rounds)
    document = json.loads(out.read_text("utf-8")) if out.exists() else {}
    document["speed"] = {
        "measured": conditions(),
        "pictures": ["chelsea", "coffee"],
        "rounds": rounds,
        "wall_seconds_per_megapixel": seconds,
    }
    save(out, document)
    click.echo("| method | wall seconds per megapixel | against the zoo's |")
    click.echo("|---|--:|--:|")
    for name, value in seconds.items():
        click.echo(f"| {name} | {value:.3g} | {value / seconds['zoo']:.3g} |")


if __name__ == "__main__":
    main()

"""``convae-zoo detect run``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from convae_zoo.cli.options import device_option, json_option, max_pixels_option
from convae_zoo.cli.output import print_json, print_line, print_table
from convae_zoo.cli.outputs import claimed
from convae_zoo.errors import DataError

if TYPE_CHECKING:
    from convae_zoo.tasks.detect.run import Finding


@click.command(name="run")
@click.argument("detector")
@click.argument("images", nargs=-1, required=True, type=click.Path(), metavar="IMAGE...")
@click.option("--out", type=click.Path(), help="Folder for scores.csv and the heatmaps.")
@click.option("--alarm-rate", type=float, help="Another alarm rate than the detector's own.")
@click.option("--no-heatmaps", is_flag=True, help="Write scores.csv alone.")
@click.option("--fail-on-anomaly", is_flag=True, help="Exit with status 1 if an image is flagged.")
@click.option("--overwrite", is_flag=True, help="Replace files from other sources.")
@max_pixels_option
@device_option
@json_option
def command(
    *,
    detector: str,
    images: tuple[str, ...],
    out: str | None,
    alarm_rate: float | None,
    no_heatmaps: bool,
    fail_on_anomaly: bool,
    overwrite: bool,
    max_pixels: int,
    device: str,
    as_json: bool,
) -> int:
    """Score image files, or the images of folders, and flag the anomalous ones.

    With --out, a folder gets scores.csv and a heatmap of each image, with .png behind the image's
    name, as in cat.jpg.png: colour begins where one normal image in ten has any, and what is above
    the threshold of a pixel is outlined.

    A score is higher for more anomalous images. A p-value is the share of normal images with such a
    score; images whose score is above the threshold are flagged. Files that cannot be read are
    skipped and reported. The exit status is 0 whatever is found, unless
    --fail-on-anomaly is given.

    \b
    Example: convae-zoo detect run detector.safetensors new_images --out found
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.data.listing import find_images
    from convae_zoo.runtime.progress import image_progress
    from convae_zoo.tasks.detect import AnomalyDetector
    from convae_zoo.tasks.detect.run import run_detector

    found = find_images(images)
    with claimed(out, images=[detector, *images]), image_progress("detect", len(found)) as advance:
        loaded = AnomalyDetector.load(detector, device=device)
        if alarm_rate is not None:
            loaded.alarm_rate = alarm_rate
        loaded.max_pixels = max_pixels
        result = run_detector(
            loaded,
            found,
            None if out is None else Path(out),
            heatmaps=not no_heatmaps,
            overwrite=overwrite,
            progress=advance,
        )
    for line in result.skipped:
        print_line(f"skipped: {line}", err=True)
    if not result.findings:
        raise DataError("none of the images can be scored")
    flagged = sum(each.anomalous for each in result.findings)
    if as_json:
        print_json(result.to_json())
    elif out is None:
        print_table(("image", "score", "p-value", ""), [_cells(each) for each in result.findings])
    if not as_json:
        skipped = f", {len(result.skipped):,} skipped" if result.skipped else ""
        print_line(
            f"{flagged:,} of {len(result.findings):,} images flagged at an alarm rate of "
            f"{result.alarm_rate:g}{skipped}" + (f"  {out}" if out else "")
        )
    return 1 if fail_on_anomaly and flagged else 0


def _cells(finding: "Finding") -> tuple[str, str, str, str]:
    flag = "anomalous" if finding.anomalous else ""
    return finding.name, f"{finding.score:.4g}", f"{finding.p_value:.4f}", flag

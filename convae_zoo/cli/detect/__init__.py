"""``convae-zoo detect``."""

import click

from convae_zoo.cli.lazy import LazyGroup

COMMANDS = {
    "evaluate": "Measure a detector on a labelled dataset.",
    "fit": "Fit a detector to normal images.",
    "run": "Score images and draw heatmaps.",
}
"""The help line of each command. The file ``cli/detect/NAME.py`` defines it, as ``command``."""


@click.group(name="detect", cls=LazyGroup, folder=__name__, summaries=COMMANDS)
def command() -> None:
    """Detect anomalous images with a detector that was fitted to normal ones alone.

    \b
    Example: convae-zoo detect fit residual-200 --data good --out detector.safetensors
             convae-zoo detect run detector.safetensors new_images --out found
    """  # noqa: D301 - \b keeps click from wrapping

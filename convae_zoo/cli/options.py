"""Options that several commands share."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

DEVICES = ("auto", "cpu", "cuda")

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)

device_option = click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="auto",
    show_default=True,
    help="Where to compute; auto takes CUDA where there is one.",
)


max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=2**26,
    show_default="67,108,864, 8192×8192",
    help="Image files with more pixels are not read.",
)


def data_options(command: F) -> F:
    """Add ``--data PATH`` and ``--download``, where the dataset is known.

    The command is called with ``data`` and ``download``, as `load_dataset` takes them.
    """
    for option in (
        click.option("--download", is_flag=True, help="Download missing data."),
        click.option("--data", type=click.Path(), help="The folder that holds the data."),
    ):
        command = option(command)
    return command


def dataset_options(command: F) -> F:
    """Add ``--dataset NAME``, ``--data PATH`` and ``--download``.

    The command is called with ``dataset``, ``data`` and ``download``, as `load_dataset` takes them.
    """
    named = click.option("--dataset", required=True, metavar="NAME", help="Name of the dataset.")
    return named(data_options(command))

"""Options that several commands share."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from convae_zoo.errors import UsageError
from convae_zoo.runtime.device import DEVICES, check_device_name

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)

device_option = click.option(
    "--device",
    metavar="|".join(DEVICES),
    callback=lambda _, __, name: check_device_name(name),
    default="auto",
    show_default=True,
    help="Device to compute on; auto is CUDA if it is available.",
)

overwrite_option = click.option("--overwrite", is_flag=True, help="Replace existing files.")

max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=2**26,
    show_default="67,108,864, 8192×8192",
    help="Do not read image files with more pixels.",
)

model_settings_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Set a config value of the model.",
)

recipe_option = click.option(
    "--recipe", metavar="NAME", help="A recipe of MODEL, of another model or of weights."
)

normal_class_option = click.option(
    "--normal-class",
    metavar="NAME",
    help="The normal class of a labelled dataset, by name or number; by default 'good'.",
)


def data_options(command: F) -> F:
    """Add ``--data PATH`` and ``--download``, to a command whose dataset is fixed.

    The command is called with ``data`` and ``download``, arguments of `load_dataset`.
    """
    for option in (
        click.option("--download", is_flag=True, help="Download missing data."),
        click.option("--data", type=click.Path(), help="The folder that holds the data."),
    ):
        command = option(command)
    return command


def dataset_options(command: F) -> F:
    """Add ``--dataset NAME``, ``--data-set FIELD=VALUE``, ``--data PATH`` and ``--download``.

    The command is called with ``dataset``, ``data`` and ``download``, arguments of `load_dataset`;
    the values of ``--data-set`` become part of ``dataset``.
    """

    @functools.wraps(command)
    def configured(*, dataset: str, data_set: tuple[str, ...], **options: Any) -> Any:
        if data_set:
            from convae_zoo.registry.expressions import with_fields  # rarely needed

            dataset = with_fields(dataset, "dataset", read_settings(data_set, "--data-set"))
        return command(dataset=dataset, **options)

    for option in (
        click.option(
            "--data-set",
            multiple=True,
            metavar="FIELD=VALUE",
            help="Set a config value of the dataset.",
        ),
        click.option(
            "--dataset",
            required=True,
            metavar="NAME",
            help="A dataset, optionally with config values: 'image-folder(val_fraction=0.2)'.",
        ),
    ):
        configured = option(configured)
    return cast("F", data_options(configured))


def read_settings(settings: tuple[str, ...], option: str = "--set") -> dict[str, Any]:
    """Parse ``FIELD=VALUE`` pairs; a value that is not valid JSON is a string.

    Raises:
        UsageError: there is no ``=``, or a value is too long.
    """
    import json  # rarely needed

    values: dict[str, Any] = {}
    for setting in settings:
        field, equals, text = setting.partition("=")
        field = field.replace("-", "_")
        if not equals or not field:
            raise UsageError(f"{option} takes FIELD=VALUE, got {setting!r:.80}")
        try:
            values[field] = json.loads(text)
        except json.JSONDecodeError:
            values[field] = text
        except (ValueError, RecursionError) as error:  # a number of 5,000 digits; 100,000 brackets
            raise UsageError(f"{option} {field}: the value is too long") from error
    return values

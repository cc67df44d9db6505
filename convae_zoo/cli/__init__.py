"""The command line: one small file per command, imported when called."""

import contextlib
import os
import sys
import warnings
from typing import Any

import click

from convae_zoo.cli.lazy import LazyGroup
from convae_zoo.cli.output import only_documents_on_stdout
from convae_zoo.errors import ZooError, ZooWarning, device_failures, printable, reason

COMMANDS = {
    "app": "Serve a page for your own pictures.",
    "bench": "Time a convolution or a model; compare two results.",
    "compare": "Compare several runs or models on the same images.",
    "decode": "Decode a file of latents into image files.",
    "denoise": "Remove the noise of image files.",
    "detect": "Detect anomalous images.",
    "doctor": "Check the installation.",
    "encode": "Encode image files into one file of latents.",
    "evaluate": "Measure a model against PCA on a dataset.",
    "export": "Write a model for use without the zoo.",
    "gallery": "Write a page that shows every installed model at work.",
    "leaderboard": "Compare all weights trained on a dataset.",
    "list": "List what is installed.",
    "new-plugin": "Create a plugin package from templates.",
    "plugins": "List the plugins, with the reason for broken ones.",
    "pull": "Download trained weights.",
    "push": "Upload a weights file to the Hugging Face Hub.",
    "reconstruct": "Reconstruct whole image files.",
    "retrain": "Retrain registered weights and compare the result.",
    "sample": "Sample new images from a model.",
    "show": "Show an entry, a weights file or a run folder.",
    "train": "Train a model.",
    "verify": "Check entries against the zoo's contract.",
}
"""The help line of each command. ``cli/NAME.py`` or ``cli/NAME/`` defines it, as ``command``."""


@click.group(
    cls=LazyGroup,
    folder=__name__,
    summaries=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="convae-zoo")
@click.pass_context
def cli(context: click.Context, *, debug: bool) -> None:  # noqa: ARG001 - `main` reads it
    """A zoo of convolutional autoencoders, extensible by installing packages.

    \b
    Example: convae-zoo train convae-200 --dataset photos --epochs 3 --out runs/first
    """  # noqa: D301 - \b keeps click from wrapping
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(args: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 or 2.

    An error is one line on stderr; ``--debug`` shows the traceback.
    """
    arguments = sys.argv[1:] if args is None else args
    _open_closed_streams()
    warnings.showwarning = _show_warning
    warnings.simplefilter("always", ZooWarning)
    json = only_documents_on_stdout() if "--json" in arguments else contextlib.nullcontext()
    try:
        with json, device_failures("the command", "free some memory"):
            status = cli.main(
                args=[a for a in arguments if a != "--debug"],
                prog_name="convae-zoo",
                standalone_mode=False,
            )
        sys.stdout.flush()
    except BaseException as error:
        if "--debug" in arguments:
            raise
        message, status = _explain(error)
        if message:
            click.echo(f"error: {printable(message)}", err=True)
    return status if isinstance(status, int) else 0


def _open_closed_streams() -> None:
    """Connect closed standard streams to the null device, as in ``convae-zoo list >&-``.

    Otherwise the next file to be opened would get the descriptor and receive the output.
    """
    for name, descriptor in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                os.fstat(descriptor)
                continue
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor, this one
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


def _explain(error: BaseException) -> tuple[str, int]:
    """Return an error's message, one line, and its exit status."""
    message, status = "", 1
    match error:
        case ZooError():
            message, status = str(error), error.exit_status
        case click.ClickException():
            context = getattr(error, "ctx", None)
            where = "--help" if context is None else f"'{context.command_path} --help'"
            message, status = f"{error.format_message().rstrip('.')}; see {where}", 2
        case click.exceptions.Abort() | KeyboardInterrupt():
            message = "interrupted"
        case BrokenPipeError():
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        case OSError():
            file = f": {error.filename}" if error.filename else ""
            message = f"{error.strerror or error}{file}"
        case SystemExit():
            status = error.code if isinstance(error.code, int) else 1
        case _:
            message = f"{reason(error)} (a bug in the zoo or in a plugin; --debug shows where)"
    return message, status


def _show_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, ZooWarning):
        click.echo(f"warning: {printable(message)}", err=True)

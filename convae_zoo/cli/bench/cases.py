"""The options that say what is timed, and the cases that they mean."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click
from click.core import ParameterSource

from convae_zoo.cli.options import device_option
from convae_zoo.errors import UsageError

if TYPE_CHECKING:
    import torch

    from convae_zoo.bench.cases import Case

F = TypeVar("F", bound=Callable[..., Any])

_KERNEL, _STRIDE = 3, 1
_MAX_SECONDS = 3600

_OPTIONS = (
    click.option("--conv", metavar="CxHxW", help="A convolution's input: channels, height, width."),
    click.option("--channels", type=click.IntRange(1), help="Output channels; by default C."),
    click.option(
        "--kernel", type=click.IntRange(1), default=_KERNEL, show_default=True, help="Kernel size."
    ),
    click.option(
        "--stride", type=click.IntRange(1), default=_STRIDE, show_default=True, help="Stride."
    ),
    click.option("--transposed", is_flag=True, help="A transposed convolution."),
    click.option(
        "--model", metavar="NAME", help="A model, trained weights, a file or a run folder."
    ),
    click.option(
        "--batch",
        "batches",
        type=click.IntRange(1),
        multiple=True,
        default=(64,),
        show_default="64",
        help="Images per call; may be given several times.",
    ),
    click.option(
        "--seconds",
        type=float,
        default=1.0,
        show_default=True,
        help=f"Seconds per row, above 0 and at most {_MAX_SECONDS:,}.",
    ),
    device_option,
)


@attrs.frozen(kw_only=True)
class Choice:
    """What is timed: the values of `case_options`."""

    conv: str | None
    channels: int | None
    kernel: int
    stride: int
    transposed: bool
    model: str | None
    batches: tuple[int, ...]
    seconds: float
    device: str

    def __attrs_post_init__(self) -> None:
        if self.conv is None and self.model is None:
            raise UsageError("pass either --conv CxHxW or --model NAME")
        if self.model is not None:
            self._refuse_options_of_conv()
        if not 0 < self.seconds <= _MAX_SECONDS:  # false for nan, too
            raise UsageError(
                f"--seconds must be above 0 and at most {_MAX_SECONDS:,}, got {self.seconds}"
            )

    def cases(self, device: "torch.device") -> "Iterator[Case]":
        """Yield the cases of each batch size.

        Raises:
            ZooError: the shape cannot be computed, or the model cannot be loaded.
        """
        from convae_zoo.bench.cases import conv_cases, model_cases

        for batch in self.batches:
            if self.model is not None:
                yield from model_cases(_model(self.model), batch, device)
            else:
                yield from conv_cases(self._conv(), batch, device)

    def arguments(self) -> list[str]:
        """Return the arguments of ``convae-zoo bench`` that mean the same, from any folder."""
        from convae_zoo.files import is_path

        model = self.model
        named = {
            "conv": self.conv,
            "channels": self.channels,
            "kernel": self.kernel,
            "stride": self.stride,
            "model": Path(model).absolute() if model is not None and is_path(model) else model,
            "seconds": self.seconds,
            "device": self.device,
        }
        found = [f"--{name}={value}" for name, value in named.items() if value is not None]
        found += [f"--batch={batch}" for batch in self.batches]
        return found + ["--transposed"] * self.transposed

    def _refuse_options_of_conv(self) -> None:
        if self.conv is not None:
            raise UsageError("pass only one of --conv CxHxW and --model NAME")
        changed = {
            "--channels": self.channels is not None,
            "--kernel": self.kernel != _KERNEL,
            "--stride": self.stride != _STRIDE,
            "--transposed": self.transposed,
        }
        if given := [name for name, is_changed in changed.items() if is_changed]:
            raise UsageError(f"{', '.join(given)}: only with --conv, not with --model")

    def _conv(self) -> Any:
        from convae_zoo.bench.cases import Conv

        found = re.fullmatch(r"(\d{1,6})x(\d{1,6})x(\d{1,6})", str(self.conv))
        if found is None or "0" in found.groups():
            raise UsageError(f"--conv must be CxHxW, such as 128x64x64, got {self.conv!r}")
        inputs, height, width = map(int, found.groups())
        return Conv(
            in_channels=inputs,
            out_channels=self.channels or inputs,
            size=(height, width),
            kernel=self.kernel,
            stride=self.stride,
            transposed=self.transposed,
        )


def case_options(command: F) -> F:
    """Add the options that say what is timed; the command is called with a `Choice`'s values."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def given_options(context: click.Context) -> list[str]:
    """List the options that the command line gives to a command."""
    return [
        option.opts[0]
        for option in context.command.params
        if isinstance(option, click.Option)
        and context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
    ]


def _model(name: str) -> Any:
    from convae_zoo.files import is_path
    from convae_zoo.models.create import create_model
    from convae_zoo.weights.load import load_model

    return load_model(name) if "." in name or is_path(name) else create_model(name)

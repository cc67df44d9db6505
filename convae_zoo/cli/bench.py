"""``convae-zoo bench`` and ``convae-zoo bench compare``."""

import re
from typing import TYPE_CHECKING, Any

import click

from convae_zoo.cli.options import device_option
from convae_zoo.cli.output import print_line, print_table
from convae_zoo.cli.outputs import claimed
from convae_zoo.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from convae_zoo.bench.cases import Case


@click.group(name="bench", invoke_without_command=True)
@click.option("--conv", metavar="CxHxW", help="A convolution's input: channels, height, width.")
@click.option("--channels", type=click.IntRange(1), help="Output channels; by default C.")
@click.option("--kernel", type=click.IntRange(1), default=3, show_default=True, help="Kernel size.")
@click.option("--stride", type=click.IntRange(1), default=1, show_default=True, help="Stride.")
@click.option("--transposed", is_flag=True, help="A transposed convolution.")
@click.option("--model", metavar="NAME", help="A model, trained weights, a file or a run folder.")
@click.option(
    "--batch", type=click.IntRange(1), default=64, show_default=True, help="Images per call."
)
@click.option("--seconds", type=float, default=1.0, show_default=True, help="Seconds per row.")
@click.option("--profile", is_flag=True, help="Also print the costliest operators.")
@click.option("--out", metavar="FILE", help="The results file to write, JSON.")
@device_option
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """Time a convolution or a model, forward and backward, against the hardware's limits.

    Every row gives the minimum and quartiles of its rounds and its share of the limit: the larger
    of its shares of a matrix product's speed and of the memory's. A row is repeated while other
    work disturbs it, or marked as disturbed.

    \b
    Example: convae-zoo bench --conv 128x64x64 --stride 2 --transposed --out results.json
    """  # noqa: D301 - \b keeps click from wrapping
    if context.invoked_subcommand is None:
        _bench(**options)


@command.command(name="compare")
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
def compare_command(*, old: str, new: str) -> None:
    """Compare two results files by the spread of their rounds.

    The exit status is 1 if a row became slower on the same hardware.

    \b
    Example: convae-zoo bench compare before.json after.json
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.bench.comparison import compare, hardware
    from convae_zoo.bench.document import read

    before, after = read(old), read(new)
    is_same = hardware(before) == hardware(after)
    if not is_same:
        print_line("different hardware or versions: the ratios say nothing about the code")
    print_line(f"old: {hardware(before)}")
    print_line(f"new: {hardware(after)}")
    verdicts = compare(before["benchmarks"], after["benchmarks"])
    for each in sorted(verdicts, key=lambda v: -v.ratio):
        if each.verdict != "equal":
            print_line(f"{each.verdict}, {each.ratio:.2f} times the time: {each.name}")
    slower = sum(each.verdict == "slower" for each in verdicts)
    print_line(f"{slower} of {len(verdicts)} became slower beyond the spread of their rounds")
    if slower and is_same:
        raise click.exceptions.Exit(1)


def _bench(
    *,
    conv: str | None,
    channels: int | None,
    kernel: int,
    stride: int,
    transposed: bool,
    model: str | None,
    batch: int,
    seconds: float,
    profile: bool,
    out: str | None,
    device: str,
) -> None:
    if (conv is None) == (model is None):
        raise UsageError("pass either --conv CxHxW or --model NAME")
    from convae_zoo.bench.document import measure, write
    from convae_zoo.runtime.device import choose_device

    chosen = choose_device(device)

    def cases() -> "Iterator[Case]":
        from convae_zoo.bench.cases import Conv, conv_cases

        if conv is None:
            return _model_cases(str(model), batch, chosen)
        found = re.fullmatch(r"(\d{1,6})x(\d{1,6})x(\d{1,6})", conv)
        if found is None or "0" in found.groups():
            raise UsageError(f"--conv must be CxHxW, such as 128x64x64, got {conv!r}")
        inputs, height, width = map(int, found.groups())
        shape = Conv(
            in_channels=inputs,
            out_channels=channels or inputs,
            size=(height, width),
            kernel=kernel,
            stride=stride,
            transposed=transposed,
        )
        return conv_cases(shape, batch, chosen)

    with claimed(out, models=[model] if model else []):
        document = measure(cases(), chosen, seconds)
        _print(document)
        if profile:
            from convae_zoo.bench.profiling import costliest

            click.echo(costliest(cases()))
        if out is not None:
            write(document, out)
            print_line(f"results  {out}")


def _model_cases(name: str, batch: int, device: "torch.device") -> "Iterator[Case]":
    from convae_zoo.bench.cases import model_cases
    from convae_zoo.files import is_path
    from convae_zoo.models.create import create_model
    from convae_zoo.weights.load import load_model

    stored = "." in name or is_path(name)
    return model_cases(load_model(name) if stored else create_model(name), batch, device)


def _print(document: dict[str, Any]) -> None:
    from convae_zoo.bench.comparison import hardware

    print_line(hardware(document))
    rows = []
    for record in document["benchmarks"]:
        info, stats = record["extra_info"], record["stats"]
        times = (f"{stats[name] * 1e3:,.3f}" for name in ("min", "q1", "median", "q3"))
        notes = ("disturbed" if info["disturbed"] else "", _fault(info))
        rows.append(
            [
                record["name"],
                *times,
                f"{info['gflop_per_second']:,.0f}",
                f"{info['share_of_peak']:.0%}",
                f"{info['share_of_memory']:.0%}",
                f"{info['share_of_limit']:.0%}",
                ", ".join(filter(None, notes)),
            ]
        )
    head = ["case", "min ms", "q1", "median", "q3", "GFLOP/s"]
    print_table([*head, "of product", "of memory", "of limit", ""], rows)


def _fault(info: dict[str, Any]) -> str:
    return "the limit was measured too low" if info["limit_too_low"] else ""

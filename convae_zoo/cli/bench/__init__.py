"""``convae-zoo bench`` and ``convae-zoo bench compare``."""

from typing import Any

import click

from convae_zoo.cli.bench.cases import Choice, case_options, given_options
from convae_zoo.cli.lazy import LazyGroup
from convae_zoo.cli.options import overwrite_option
from convae_zoo.cli.output import print_line, print_table
from convae_zoo.cli.outputs import claimed
from convae_zoo.errors import UsageError

COMMANDS = {"compare": "Compare two results files, or two checkouts in turns."}
"""The help line of each command. The file ``cli/bench/NAME.py`` defines it, as ``command``."""


@click.group(
    name="bench",
    cls=LazyGroup,
    folder=__name__,
    summaries=COMMANDS,
    invoke_without_command=True,
)
@case_options
@click.option("--profile", is_flag=True, help="Also print the costliest operators.")
@click.option("--out", metavar="FILE", help="The results file to write, JSON.")
@overwrite_option
@click.pass_context
def command(
    context: click.Context, /, *, profile: bool, out: str | None, overwrite: bool, **options: Any
) -> None:
    """Time a convolution or a model, forward and backward, against the hardware's limits.

    Every row gives the minimum and quartiles of its rounds and its share of the limit: the larger
    of its shares of a matrix product's speed and of the memory's. A row is repeated while other
    work disturbs it, or marked as disturbed.

    \b
    Example: convae-zoo bench --conv 128x64x64 --stride 2 --transposed --out results.json
             convae-zoo bench --model convae-200 --batch 1 --batch 64
    """  # noqa: D301 - \b keeps click from wrapping
    if context.invoked_subcommand is None:
        _bench(Choice(**options), profile=profile, out=out, overwrite=overwrite)
    elif given := given_options(context):
        raise UsageError(
            f"{', '.join(given)} before {context.invoked_subcommand} would be ignored; options of "
            f"{context.invoked_subcommand} follow its name"
        )


def _bench(choice: Choice, *, profile: bool, out: str | None, overwrite: bool) -> None:
    from convae_zoo.bench.document import measure, write
    from convae_zoo.runtime.device import choose_device

    device = choose_device(choice.device)
    with claimed(out, models=[choice.model] if choice.model else [], overwrite=overwrite):
        document = measure(choice.cases(device), device, choice.seconds)
        _print(document)
        if profile:
            from convae_zoo.bench.profiling import costliest

            click.echo(costliest(choice.cases(device)))
        if out is not None:
            write(document, out)
            print_line(f"results  {out}")


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

"""``convae-zoo bench compare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convae_zoo.cli.bench.cases import Choice, case_options, given_options
from convae_zoo.cli.output import print_line
from convae_zoo.errors import UsageError

if TYPE_CHECKING:
    from convae_zoo.bench.comparison import Verdict


@click.command(name="compare")
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
@case_options
@click.option(
    "--rounds",
    type=click.IntRange(4),
    default=8,
    show_default=True,
    help="Processes of each of two checkouts.",
)
@click.pass_context
def command(context: click.Context, /, *, old: str, new: str, rounds: int, **options: Any) -> None:
    """Compare two results files by the spread of their rounds, or two checkouts in turns.

    OLD and NEW are both files, or both folders of the zoo's source. With folders, say what to time:
    each checkout's own code runs in new processes, in turns, so that a change of the machine's
    speed affects both, and the verdict is from the spread of the processes. A checkout's .venv is
    used if it has one.

    The exit status is 1 if a row became slower on the same hardware.

    \b
    Example: convae-zoo bench compare before.json after.json
             convae-zoo bench compare ../main . --model convae-200 --batch 1 --batch 64
    """  # noqa: D301 - \b keeps click from wrapping
    from convae_zoo.bench.comparison import compare, compare_runs
    from convae_zoo.bench.document import read

    if Path(old).is_dir() and Path(new).is_dir():
        from convae_zoo.bench.checkouts import Checkout, run_in_turns

        checkouts = Checkout(Path(old)), Checkout(Path(new))
        arguments = Choice(**options).arguments()
        olds, news = run_in_turns(*checkouts, arguments, rounds, say=print_line)
        _tell(olds[0], news[0], compare_runs(olds, news))
        return
    if given := given_options(context):
        raise UsageError(f"{', '.join(given)}: only with two folders, not with results files")
    before, after = read(old), read(new)
    _tell(before, after, compare(before["benchmarks"], after["benchmarks"]))


def _tell(before: dict[str, Any], after: dict[str, Any], verdicts: "list[Verdict]") -> None:
    """Print the verdicts; exit with status 1 if a row became slower on the same hardware."""
    from convae_zoo.bench.comparison import hardware

    is_same = hardware(before) == hardware(after)
    if not is_same:
        print_line("different hardware or versions: the ratios say nothing about the code")
    print_line(f"old: {hardware(before)}")
    print_line(f"new: {hardware(after)}")
    for each in sorted(verdicts, key=lambda v: -v.ratio):
        if each.verdict != "equal":
            print_line(f"{each.verdict}, {each.ratio:.2f} times the time: {each.name}")
    slower = sum(each.verdict == "slower" for each in verdicts)
    print_line(f"{slower} of {len(verdicts)} became slower beyond the spread of their rounds")
    if slower and is_same:
        raise click.exceptions.Exit(1)

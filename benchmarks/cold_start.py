"""What a cold process takes: ``python -m benchmarks.cold_start --out FILE``.

Each command runs in new processes, one of each in every round, so that whatever else the machine
does affects all of them. Loading a model by name stands beside loading it by hand
(`benchmarks.by_hand`). Bytecode is compiled before, as pip does.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import attrs
import click

from benchmarks.denoising.compare import conditions
from convae_zoo.files import write_text
from convae_zoo.weights.names import find_file

ROOT = Path(__file__).parents[1]
SCRIPT = str(Path(sysconfig.get_path("scripts")) / "convae-zoo")
LOADED = ("convae-200.fashion-mnist", "linear-residual-200.photos")
COMMANDS = {
    "bare": (sys.executable, "-c", "pass"),
    "import torch": (sys.executable, "-c", "import torch"),
    "import convae_zoo": (sys.executable, "-c", "import convae_zoo"),
    "list": (SCRIPT, "list"),
    "show": (SCRIPT, "show", "convae-200"),
    "train --help": (SCRIPT, "train", "--help"),
    "evaluate": (SCRIPT, "evaluate", "convae-200.photos", "--dataset", "defects", "--no-baseline"),
}


def loaders(name: str) -> dict[str, tuple[str, ...]]:
    """Return the commands that load a model by its registered name, and by hand."""
    by_hand = f"from benchmarks.by_hand import load; load({name.partition('.')[0]!r}, "
    by_name = f"import convae_zoo as zoo; zoo.load_model({name!r})"
    return {
        f"load {name}": (sys.executable, "-c", by_name),
        f"by hand {name}": (sys.executable, "-c", f"{by_hand}{str(find_file(name))!r})"),
    }


@attrs.define
class Times:
    """Seconds of the processes that ran a command, one each: on the clock, and of processors."""

    wall: list[float] = attrs.field(factory=list)
    cpu: list[float] = attrs.field(factory=list)

    def run(self, command: tuple[str, ...]) -> None:
        """Run a command in a new process."""
        variables = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        before, started = _children_seconds(), time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=variables)
        self.wall.append(time.perf_counter() - started)
        self.cpu.append(_children_seconds() - before)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(commands: dict[str, tuple[str, ...]], rounds: int) -> dict[str, Times]:
    """Time commands in interleaved rounds, after one round that warms the file cache."""
    for command in commands.values():
        Times().run(command)
    times = {name: Times() for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            times[name].run(command)
    return times


def summary(times: Times) -> dict[str, float]:
    """Return the median and the minimum on the clock, and the median of the processors."""
    figures = {
        "median": statistics.median(times.wall),
        "min": min(times.wall),
        "cpu_median": statistics.median(times.cpu),
    }
    return {name: round(value, 4) for name, value in figures.items()}


def ratios(ours: Times, plain: Times) -> dict[str, float]:
    """Return how many times as long ours takes: of medians, of minima, and of processor time."""
    mine, other = summary(ours), summary(plain)
    return {name: round(mine[name] / other[name], 3) for name in mine}


@click.command()
@click.option("--rounds", default=15, show_default=True, help="Processes of each command.")
@click.option("--out", type=click.Path(path_type=Path), help="The results.")
def main(rounds: int, out: Path | None) -> None:
    """Time cold processes that load, list, show, evaluate and print help."""
    loading = {name: loaders(name) for name in LOADED}
    times: dict[str, Times] = {}
    for group in (*loading.values(), COMMANDS):
        times |= measure(group, rounds)
    document: dict[str, Any] = {
        "measured": conditions(),
        "rounds": rounds,
        "seconds": {name: summary(each) for name, each in times.items()},
        "load_to_by_hand": {
            name: ratios(*(times[each] for each in pair)) for name, pair in loading.items()
        },
    }
    click.echo("| cold process | median s | minimum s | processor s |")
    click.echo("|---|--:|--:|--:|")
    for name, found in document["seconds"].items():
        click.echo(f"| {name} | " + " | ".join(f"{value:.3f}" for value in found.values()) + " |")
    for name, found in document["load_to_by_hand"].items():
        click.echo(f"{name}: " + ", ".join(f"{what} {value}" for what, value in found.items()))
    if out is not None:
        write_text(out, json.dumps(document) + "\n")


if __name__ == "__main__":
    main()

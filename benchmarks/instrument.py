"""Can the suite be trusted? ``python -m benchmarks.instrument --out FILE``.

The same code is measured over and over: undisturbed, beside a process that keeps a core busy, and
with a planted slowdown: each call is followed by idling for a tenth of its time. Every comparison
is made in both ways that ``convae-zoo bench compare`` has: of two results, and of runs in turns.
No row of the same code may be slower, whatever else the machine does, and the slowdown must be
found. Where other work disturbs a row, it gets no verdict.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import torch

import convae_zoo as zoo
from benchmarks.denoising.compare import conditions
from convae_zoo.bench.cases import Call, Case, Conv, conv_cases, model_cases
from convae_zoo.bench.comparison import Verdict, compare, compare_runs
from convae_zoo.bench.document import measure
from convae_zoo.files import write_text
from convae_zoo.runtime.memory import keep_freed_memory

CPU = torch.device("cpu")
SLOWDOWN = 0.1
CONDITIONS = ("same", "busy", "planted")
"""What the undisturbed code is compared with."""

Document = dict[str, Any]


def cases() -> list[Case]:
    """Return some cases: a convolution, a transposed one, and a model, in channels_last."""
    conv = Conv(in_channels=32, out_channels=32, size=(32, 32))
    found = [
        *conv_cases(conv, 64, CPU),
        *conv_cases(attrs.evolve(conv, transposed=True), 64, CPU),
        *model_cases(zoo.create_model("convae-200"), 16, CPU),
    ]
    return [case for case in found if "channels_last" in case.name and case.precision == "bf16"]


@contextlib.contextmanager
def busy_core() -> Iterator[None]:
    """Keep a core busy with another process."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        time.sleep(0.2)  # until it has started
        try:
            yield
        finally:
            process.kill()


def slowed(every: list[Case], document: Document) -> list[Case]:
    """Return the cases with a planted slowdown, by the times of a document."""
    fastest = {row["name"]: row["stats"]["min"] for row in document["benchmarks"]}
    return [
        attrs.evolve(
            case,
            calls={
                who: _slowed(call, SLOWDOWN * fastest[f"{case.name} {who}"])
                for who, call in case.calls.items()
            },
        )
        for case in every
    ]


def _slowed(call: Call, seconds: float) -> Call:
    def slow() -> None:
        call()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            pass

    return slow


def compare_once(every: list[Case], rounds: int, seconds: float) -> dict[str, list[Verdict]]:
    """Measure the code in each condition, in turns, and return the verdicts of both comparisons."""
    runs: dict[str, list[Document]] = {name: [] for name in ("before", *CONDITIONS)}
    for number in range(rounds):
        names = list(runs) if number % 2 == 0 else list(runs)[::-1]
        for name in names:
            if name == "planted" and not runs["before"]:
                runs["before"].append(measure(every, CPU, seconds))
            chosen = slowed(every, runs["before"][0]) if name == "planted" else every
            with busy_core() if name == "busy" else contextlib.nullcontext():
                runs[name].append(measure(chosen, CPU, seconds))
    verdicts: dict[str, list[Verdict]] = {}
    for name in CONDITIONS:
        verdicts[f"{name}, in turns"] = compare_runs(runs["before"], runs[name])
        verdicts[f"{name}, two files"] = [
            verdict
            for old, new in zip(runs["before"], runs[name], strict=True)
            for verdict in compare(old["benchmarks"], new["benchmarks"])
        ]
    return verdicts


def begun(out: Path | None) -> tuple[int, dict[str, Counter[str]]]:
    """Return the comparisons of an earlier call, and their verdicts."""
    if out is None or not out.exists():
        return 0, {}
    found = json.loads(out.read_text("utf-8"))
    return found["comparisons"], {n: Counter(v) for n, v in found["verdicts"].items()}


@click.command()
@click.option("--comparisons", default=10, show_default=True, help="With those of earlier calls.")
@click.option("--rounds", default=8, show_default=True, help="Runs in turns of each comparison.")
@click.option("--seconds", default=0.1, show_default=True, help="Seconds per row.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write or go on with.")
def main(comparisons: int, rounds: int, seconds: float, out: Path | None) -> None:
    """Count the verdicts on equal code and on slower code; the status is 1 if one is wrong."""
    keep_freed_memory()
    every = cases()
    done, counts = begun(out)
    measure(every, CPU, seconds)  # the first run after the start is slower
    for number in range(done, comparisons):
        for name, verdicts in compare_once(every, rounds, seconds).items():
            counts.setdefault(name, Counter()).update(each.verdict for each in verdicts)
        document = {
            "measured": conditions(),
            "rows": [f"{case.name} {who}" for case in every for who in case.calls],
            "rounds": rounds,
            "comparisons": number + 1,
            "slowdown": SLOWDOWN,
            "verdicts": counts,
        }
        if out is not None:
            write_text(out, json.dumps(document, indent=1) + "\n")
    click.echo("| compared with | slower | faster | equal | disturbed |")
    click.echo("|---|--:|--:|--:|--:|")
    for name, found in counts.items():
        cells = (str(found[verdict]) for verdict in ("slower", "faster", "equal", "disturbed"))
        click.echo(f"| {name} | {' | '.join(cells)} |")
    wrong = sum(n["slower"] for name, n in counts.items() if not name.startswith("planted"))
    sys.exit(1 if wrong or not counts["planted, in turns"]["slower"] else 0)


if __name__ == "__main__":
    main()

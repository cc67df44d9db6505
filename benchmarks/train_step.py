"""A training step of convae-200: ``python -m benchmarks.train_step --out FILE``.

Each candidate has its own process, because memory settings persist in one. The processes take
turns of a few steps, so a disturbance of the machine affects all of them. All train the same
network on the same resident uint8 images.

``by hand`` is the loop that someone who knows PyTorch writes: channels_last, autocast to bfloat16
and PyTorch's fused Adam. With ``kept memory`` the C library keeps freed memory for it, as it does
for the zoo. ``plain`` is the article's loop, in float32, without loading data.
"""

import contextlib
import datetime as dt
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks import article
from convae_zoo.bench.document import device_name
from convae_zoo.runtime.memory import keep_freed_memory

STEPS = 10
"""Steps per turn; a turn's time is divided by them."""

WARM_UP = 5

REST = 0.05
"""Seconds before a turn, in which idle threads of the turn before stop spinning."""

Step = Callable[[Tensor], object]


def by_hand(*, compiled: bool = False, keeps_memory: bool = False) -> Step:
    """Build the loop by hand: channels_last, autocast to bfloat16, fused Adam."""
    if keeps_memory:
        keep_freed_memory()
    model = article.network().to(memory_format=torch.channels_last)
    run = torch.compile(model) if compiled else model
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def step(images: Tensor) -> object:
        x = images.contiguous(memory_format=torch.channels_last).float().div_(127.5).sub_(1)
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = run(x)
        loss = functional.mse_loss(y.float(), x)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def plain() -> Step:
    """Build the article's loop in float32."""
    model = article.network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(images: Tensor) -> object:
        x = images.float().div_(127.5).sub_(1)
        optimizer.zero_grad()
        loss = functional.mse_loss(model(x), x)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def zoo(precision: str, recipe: str | None = None) -> Step:
    """Build the zoo's engine with a recipe of the model, by default the article's."""
    import convae_zoo
    from convae_zoo.models.losses import create_training_loss
    from convae_zoo.registry import find_model
    from convae_zoo.training.engine import Engine

    spec, _ = find_model("convae-200")
    chosen = spec.recipe if recipe is None else spec.recipes[recipe]
    model = convae_zoo.create_model("convae-200").train()
    loss = create_training_loss(chosen.loss, model.value_range)
    return Engine(model, loss, attrs.evolve(chosen, precision=precision)).step


CANDIDATES: dict[str, Callable[[], Step]] = {
    "by hand, bf16": by_hand,
    "by hand, bf16, kept memory": lambda: by_hand(keeps_memory=True),
    "by hand, bf16, torch.compile": lambda: by_hand(compiled=True),
    "zoo, bf16": lambda: zoo("bf16"),
    "zoo, bf16, recipe fast": lambda: zoo("bf16", "fast"),
    "plain, fp32": plain,
    "zoo, fp32": lambda: zoo("fp32"),
}


def serve(name: str, batch_size: int) -> None:
    """Take some steps for each line of standard input, and answer with their mean seconds."""
    torch.manual_seed(0)
    images = torch.randint(0, 256, (batch_size, 3, 32, 32), dtype=torch.uint8)
    step = CANDIDATES[name]()
    for _ in range(WARM_UP):
        step(images)
    print("ready", flush=True)
    for _ in sys.stdin:
        time.sleep(REST)
        step(images)  # what the other processes took from the caches
        started = time.perf_counter()
        for _ in range(STEPS):
            step(images)
        print((time.perf_counter() - started) / STEPS, flush=True)


@contextlib.contextmanager
def started(name: str, batch_size: int) -> Iterator[Callable[[], float]]:
    """Start a candidate's process; yields a function that times one turn, in seconds per step."""
    command = [sys.executable, "-m", "benchmarks.train_step", "--serve", name]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*command, "--batch-size", str(batch_size)], stdin=pipe, stdout=pipe, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n", f"{name} failed"

        def turn() -> float:
            print("step", file=child.stdin, flush=True)
            return float(child.stdout.readline())  # type: ignore[union-attr]  # checked above

        yield turn
        child.stdin.close()


def row(seconds: list[float]) -> dict[str, Any]:
    """Return minimum, quartiles and median in milliseconds, and all rounds."""
    milliseconds = [round(1e3 * s, 3) for s in seconds]
    lower, median, upper = statistics.quantiles(milliseconds, n=4, method="inclusive")
    figures = {"min": min(milliseconds), "q1": lower, "median": median, "q3": upper}
    return figures | {"rounds": milliseconds}


def measure(names: list[str], batch_size: int, seconds: float) -> dict[str, dict[str, Any]]:
    """Time candidates in turns for about so many seconds, each."""
    found: dict[str, list[float]] = {name: [] for name in names}
    with contextlib.ExitStack() as stack:
        turns = {name: stack.enter_context(started(name, batch_size)) for name in names}
        began = time.perf_counter()
        while time.perf_counter() - began < seconds * len(names) or len(found[names[0]]) < 3:
            for name, turn in turns.items():
                found[name].append(turn())
    return {name: row(values) for name, values in found.items()}


def ratios(rows: dict[str, dict[str, Any]], statistic: str = "median") -> dict[str, float]:
    """Divide the times of the loops in plain PyTorch by those of the zoo."""
    pairs = {"bf16": ("by hand, bf16", "zoo, bf16"), "fp32": ("plain, fp32", "zoo, fp32")}
    return {
        name: round(rows[loop][statistic] / rows[ours][statistic], 2)
        for name, (loop, ours) in pairs.items()
        if loop in rows and ours in rows
    }


@click.command()
@click.option("--batch-size", default=64, show_default=True)
@click.option("--seconds", default=8.0, show_default=True, help="Seconds per candidate.")
@click.option("--compile", "compiled", is_flag=True, help="Also time the loop with torch.compile.")
@click.option("--only", multiple=True, type=click.Choice(list(CANDIDATES)), help="Repeatable.")
@click.option("--out", type=click.Path(path_type=Path), help="JSON file to write.")
@click.option("--serve", "name", hidden=True)
def main(
    *,
    batch_size: int,
    seconds: float,
    compiled: bool,
    only: tuple[str, ...],
    out: Path | None,
    name: str | None,
) -> None:
    """Time a training step of convae-200: by hand in PyTorch, and the zoo's."""
    if name is not None:
        serve(name, batch_size)
        return
    names = list(only) or [n for n in CANDIDATES if compiled or "compile" not in n]
    rows = measure(names, batch_size, seconds)
    for each, figures in rows.items():
        times = "  ".join(f"{k} {figures[k]:6.2f}" for k in ("min", "q1", "median", "q3"))
        click.echo(f"{each:30} {times} ms")
    found = {"medians": ratios(rows), "minima": ratios(rows, "min")}
    click.echo(f"loop / zoo: {json.dumps(found)}")
    if out is not None:
        document = {
            "date": dt.datetime.now(dt.UTC).date().isoformat(),
            "device_name": device_name(torch.device("cpu")),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "batch_size": batch_size,
            "ratios": found,
            "milliseconds": rows,
        }
        out.write_text(json.dumps(document) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

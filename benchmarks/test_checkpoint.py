"""The cost of checkpoints in a run at the default interval."""

import inspect
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import convae_zoo as zoo
from benchmarks.candidate import noise
from benchmarks.conftest import Report
from convae_zoo.bench.timing import CLOCK, Timing, peak_bytes
from convae_zoo.data import ImageSet
from convae_zoo.runs.checkpoint import Checkpoints

INTERVAL: int = inspect.signature(zoo.train).parameters["checkpoint_every"].default
BATCH = 64


def _timed(call: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    def timed(*args: Any) -> None:
        started = time.perf_counter()
        call(*args)
        seconds.append(time.perf_counter() - started)

    return timed


@pytest.mark.benchmark(group="checkpoint", timer=CLOCK)
@pytest.mark.parametrize("model", ["convae-200", "convae-1000"])
def test_a_checkpoint(
    model: str,
    device: torch.device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
    report: Report,
) -> None:
    """Writing a checkpoint while a run trains; `cost` is its share of the steps between two."""
    steps, every = (400, 40) if pytestconfig.getoption("full") else (40, 8)
    images = noise(steps * BATCH)
    seconds: list[float] = []
    monkeypatch.setattr(Checkpoints, "write", _timed(Checkpoints.write, seconds))
    result = zoo.train(
        model,
        dataset=(
            ImageSet(name="noise", split="train", images=images),
            ImageSet(name="noise", split="val", images=images[:BATCH]),
        ),
        epochs=2,
        batch_size=BATCH,
        device=str(device),
        progress=False,
        out=tmp_path / "run",
        checkpoint_every=every,
    )
    step = result.epochs[-1].seconds / steps
    report(
        Timing(seconds=seconds, warm_up=seconds[0], peak_bytes=peak_bytes(device)),
        device,
        who="ours",
        step_seconds=round(step, 5),
        interval_steps=INTERVAL,
        cost=round(statistics.median(seconds) / (INTERVAL * step), 4),
    )

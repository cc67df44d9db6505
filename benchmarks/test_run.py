"""The whole run: ``zoo.train`` against the article's loop and a peer library, interleaved."""

import functools
import importlib.util
import json
import subprocess
import sys

import pytest
import torch

from benchmarks.candidate import CANDIDATES, noise
from benchmarks.conftest import Report
from convae_zoo.bench.timing import CLOCK, Timing, count_gflop

BATCH = 64
PEERS = {"pythae": "pythae"}
"""Peer libraries, each with the module to look for; ``convae-zoo[bench]`` installs them."""


@functools.cache
def measure(device: str, images: int, rounds: int) -> dict[str, tuple[Timing, str]]:
    """Run every installed candidate, interleaved, each time in a process of its own."""
    names = [n for n in CANDIDATES if n not in PEERS or importlib.util.find_spec(PEERS[n])]
    runs = {name: [_run(name, device, images)] for name in names}
    for _ in range(rounds - 1):
        for name in names:
            runs[name].append(_run(name, device, images))
    return {
        name: (
            Timing(
                seconds=[r["epochs"][-1] for r in done],
                warm_up=max(0.0, done[0]["epochs"][0] - done[0]["epochs"][-1]),
                peak_bytes=max(r["peak_bytes"] for r in done),
            ),
            done[0]["precision"],
        )
        for name, done in runs.items()
    }


def _run(name: str, device: str, images: int) -> dict[str, list[float]]:
    call = [sys.executable, "-m", "benchmarks.candidate", name]
    call += ["--device", device, "--images", str(images), "--batch-size", str(BATCH)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    result: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return result


@functools.cache
def gflop_per_image() -> float:
    """Count the GFLOP of one image in a training step of the article's network."""
    from benchmarks import article

    model, x = article.network(), noise(8).float()
    return count_gflop(lambda: model(x).square().mean().backward()) / 8


@pytest.mark.benchmark(group="run", timer=CLOCK)
@pytest.mark.parametrize("who", CANDIDATES)
def test_training(
    who: str, device: torch.device, pytestconfig: pytest.Config, report: Report
) -> None:
    """One epoch of ``convae-200`` at batch 64: the second, when everything is warm."""
    full = pytestconfig.getoption("full")
    images = (50_000 if device.type == "cuda" else 12_800) if full else 1920
    timings = measure(device.type, images, 5 if full else 3)
    if who not in timings:
        pytest.skip(f"{PEERS[who]} is not installed")
    timing, precision = timings[who]
    report(
        timing,
        device,
        images=images,
        gflop=images * gflop_per_image(),
        precision=precision,
        who=who,
        article_images_per_second=round(
            images / sorted(timings["article"][0].seconds)[len(timings["article"][0].seconds) // 2],
            1,
        ),
    )

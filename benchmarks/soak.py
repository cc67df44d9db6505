"""A soak: train, resume, evaluate, encode and decode again and again in one process.

Memory, file handles and threads must stay flat. Run it for an hour::

    python -m benchmarks.soak --minutes 60

One JSON document is printed; the exit status is 1 if something grew. The first quarter of the time
is warm-up; the second quarter is compared with the last, and a line is fitted to the last three.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np
from PIL import Image

from convae_zoo.cli import main

LARGEST_GROWTH = 8.0
"""MiB that memory may grow from the second quarter to the last, by their medians."""

LARGEST_SLOPE = 0.02
"""MiB that memory may grow per cycle, by the fitted line."""

_MODEL = ("--set", "width=2", "--set", "latent_dim=8", "--set", "image_size=16")
_PAGE = os.sysconf("SC_PAGE_SIZE") / 2**20


@attrs.frozen
class Sample:
    """What the process holds after a cycle.

    Attributes:
        memory: resident, in MiB.
        handles: open file descriptors.
        threads: of the process.
    """

    memory: float
    handles: int
    threads: int

    @classmethod
    def now(cls) -> "Sample":
        """Take a sample of this process; Linux only."""
        resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        handles, threads = (
            sum(1 for _ in Path(f"/proc/self/{what}").iterdir()) for what in ("fd", "task")
        )
        return cls(resident * _PAGE, handles, threads)


def write_images(folder: Path, count: int = 24) -> None:
    """Write random 16×16 images."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(count):
        pixels = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")


def cycle(root: Path) -> None:
    """Run every command of the loop once.

    Raises:
        RuntimeError: one of them fails.
    """
    images, run, latents = root / "images", root / "run", root / "latents"
    data = ("--dataset", "image-folder", "--data", images)
    train = ("train", "convae-200", *data, *_MODEL, "--batch-size", "8", "--out", run)
    for call in (
        (*train, "--epochs", "1", "--overwrite"),
        (*train, "--epochs", "2", "--resume"),
        ("evaluate", run, *data),
        ("encode", run, images, "--out", latents, "--overwrite"),
        ("decode", run, latents, "--out", root / "decoded", "--overwrite"),
    ):
        status = main([str(word) for word in call])
        if status != 0:
            raise RuntimeError(f"{call[0]} ended with status {status}")


def soak(minutes: float, least: int = 8) -> list[Sample]:
    """Run cycles for a time, at least so many, and sample after each."""
    samples = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,  # one: click keeps each it meets
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        root = Path(folder)
        write_images(root / "images")
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end or len(samples) < least:
            cycle(root)
            samples.append(Sample.now())
    return samples


def growth(samples: Sequence[Sample]) -> dict[str, float]:
    """Compare the second quarter of the samples with the last.

    Returns:
        The medians of memory in MiB and the slope in MiB per cycle; the most handles and threads.
    """
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    memory = [sample.memory for sample in samples[quarter:]]
    return {
        "cycles": len(samples),
        "memory_early": statistics.median(s.memory for s in early),
        "memory_late": statistics.median(s.memory for s in late),
        "memory_slope": float(np.polyfit(range(len(memory)), memory, 1)[0]),
        "handles_early": max(s.handles for s in early),
        "handles_late": max(s.handles for s in late),
        "threads_early": max(s.threads for s in early),
        "threads_late": max(s.threads for s in late),
    }


def what_grew(found: dict[str, float]) -> list[str]:
    """Name what is not flat."""
    grew = [k for k in ("handles", "threads") if found[f"{k}_late"] > found[f"{k}_early"]]
    more = found["memory_late"] - found["memory_early"]
    if more > LARGEST_GROWTH or (more > 1 and found["memory_slope"] > LARGEST_SLOPE):
        grew.append("memory")
    return grew


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Repeat the zoo's work and watch what it holds.")
    parser.add_argument("--minutes", type=float, default=60.0)
    found = growth(soak(parser.parse_args().minutes))
    grew = what_grew(found)
    json.dump({**found, "grew": grew}, sys.stdout, indent=2)
    sys.stdout.write("\n")
    sys.exit(1 if grew else 0)

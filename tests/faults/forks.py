"""Runs the writing commands in forks of one warm process: two at once, or killed at random moments.

Usage: forks.py FOLDER RACES KILLS [SEED], each so many of every command. Prints one JSON list of
what was tried, with the problems that were found.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from writers import Waves, Writer, fresh, writers

import convae_zoo as zoo
from convae_zoo import registry
from convae_zoo.runs.run_folder import RunFolder

torch.set_num_threads(1)

HOLDERS = (
    "is being written by",
    "holds another run",
    "the run was started with",
    "another process has trained into",
    "is not empty",
    "already exist",
    "Directory not empty",
)
"""What the second of two commands says: who holds the output, or that it is taken by now."""


def forked(work: Callable[[], int], said: Path) -> int:
    """Start work in a fork whose exit status is its result and whose stderr is a file."""
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        status = work()
    except zoo.ZooError as error:
        os.write(2, f"error: {error}\n".encode())
        status = 1
    finally:
        os._exit(status)


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Bench:
    """A folder of inputs, the results of undisturbed commands, and a folder of outputs."""

    def __init__(self, root: Path) -> None:
        self.root, self.out = root, root / "out"
        self.writers = writers(root / "in")
        self.seconds: dict[str, float] = {}
        self._expected: dict[tuple[str, int], object] = {}

    def expected(self, writer: Writer, variant: int) -> object:
        """Return what an undisturbed command writes; it runs here, so that its forks are warm."""
        key = (writer.name, variant)
        if key not in self._expected:
            self._expected[key] = self._undisturbed(writer, variant)
        return self._expected[key]

    def _undisturbed(self, writer: Writer, variant: int) -> object:
        path = fresh(self.root / "undisturbed", writer)
        assert writer.run(str(path), variant) == 0, writer.name
        began = time.monotonic()
        pid = forked(lambda: writer.run(str(fresh(self.out, writer)), variant), self.root / "said")
        assert ended(pid) == 0, (writer.name, (self.root / "said").read_text())
        self.seconds[writer.name] = time.monotonic() - began
        return writer.content(path)

    def left_behind(self, out: Path) -> list[str]:
        """Name what lies beside the output and is no hidden file."""
        return [p.name for p in self.out.iterdir() if p != out and not p.name.startswith(".")]


def race(bench: Bench, writer: Writer, delay: float) -> list[str]:
    """Start both variants on one output, the second a little later; say what is wrong then."""
    expected = [bench.expected(writer, variant) for variant in (0, 1)]
    out = fresh(bench.out, writer)
    begin = time.monotonic() + 0.05

    def start(variant: int) -> int:
        time.sleep(max(0.0, begin + variant * delay - time.monotonic()))
        return writer.run(str(out), variant)

    said = [bench.root / f"said-{variant}" for variant in (0, 1)]
    pids = [forked(lambda v=v: start(v), said[v]) for v in (0, 1)]
    statuses = [ended(pid) for pid in pids]
    problems = []
    finished = [expected[v] for v in (0, 1) if statuses[v] == 0]
    if not finished:
        problems.append("neither finished")
    elif writer.name == "retrain --store":  # both tags have a file of their own and an entry
        union = {name for content in finished for name in content}
        if writer.content(out).keys() != union:
            problems.append("a file is missing")
    elif writer.name != "decode" and writer.content(out) not in finished:
        problems.append("the result is that of neither")
    elif writer.name == "decode" and writer.content(out) not in expected:
        problems.append("pictures are mixed")
    for variant in (0, 1):
        told = said[variant].read_text()
        lines = [line for line in told.splitlines() if line.startswith("error: ")]
        if statuses[variant] and not (len(lines) == 1 and any(h in lines[0] for h in HOLDERS)):
            problems.append(f"status {statuses[variant]}, told {told[-300:]!r}")
    problems += [f"{name} was left behind" for name in bench.left_behind(out)]
    return problems


def damaged(bench: Bench, writer: Writer, out: Path, expected: object) -> list[str]:
    """Say which files are neither the old ones nor the new ones after a kill."""
    found = [f"{name} was left behind" for name in bench.left_behind(out) if ".parts" not in name]
    if not out.exists():
        return found if writer.folder else [*found, "the old file is gone"]
    if writer.is_run:
        folder = RunFolder(out)
        if folder.record.exists():
            folder.read()
        if folder.model.exists():
            zoo.load_model(folder.model)
        found += folder.checkpoints.read_latest()[1]  # the checkpoints that cannot be read
        return found
    if writer.folder:
        for name, content in writer.content(out).items():
            if not Path(name).name.startswith(".") and content != expected.get(name):
                found.append(f"{name} is not whole")
    elif out.read_bytes() not in {b"old", *expected.values()}:
        found.append(f"{out.name} is neither the old file nor the new one")
    return found


def kill(bench: Bench, writer: Writer, expected: object, draw: random.Random, kills: int) -> list:
    """Kill a command so many times at random moments, then let it end; say what is wrong."""
    out, said, problems = fresh(bench.out, writer), bench.root / "said", []
    for _ in range(kills):
        pid = forked(lambda: writer.run(str(out), 0), said)
        time.sleep(draw.uniform(0, bench.seconds[writer.name]))
        os.kill(pid, signal.SIGKILL)
        ended(pid)
        try:
            problems += damaged(bench, writer, out, expected)
        except Exception as error:  # noqa: BLE001 - whatever a damaged file makes of its reader
            problems.append(f"{type(error).__name__}: {error}")
    is_done = out.exists() and not writer.resumes and writer.content(out) == expected
    if ended(forked(lambda: writer.run(str(out), 0), said)) != 0 and not is_done:
        problems.append(f"started again: {said.read_text()[-300:]!r}")
    elif writer.content(out) != expected:
        problems.append("started again, it gave another result")
    return problems


def run(bench: Bench, races: int, kills: int, seed: int = 0) -> list[dict[str, object]]:
    draw, tried = random.Random(seed), []
    for writer in bench.writers:
        for number in range(races):
            problems = race(bench, writer, number * 0.03)
            tried.append({"command": writer.name, "kills": 0, "problems": problems})
        expected, left = bench.expected(writer, 0), kills
        while left > 0:
            now = min(left, draw.randint(1, 4) if writer.resumes else 1)
            problems = kill(bench, writer, expected, draw, now)
            tried.append({"command": writer.name, "kills": now, "problems": problems})
            left -= now
    return tried


if __name__ == "__main__":
    with registry.override(plugins=[Waves()]):
        done = run(Bench(Path(sys.argv[1])), *map(int, sys.argv[2:]))
    print(f"\n{json.dumps(done)}")

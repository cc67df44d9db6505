"""Two checkouts of the zoo's source, timed in turns by processes of their own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from convae_zoo.bench.document import read
from convae_zoo.errors import UsageError

Document = dict[str, Any]


def _absolute(folder: Path) -> Path:
    return folder.absolute()


@attrs.frozen
class Checkout:
    """A folder of the zoo's source.

    Attributes:
        folder: the folder, with ``convae_zoo`` and ``plugins`` in it.
    """

    folder: Path = attrs.field(converter=_absolute)

    @property
    def python(self) -> Path:
        """The interpreter of its ``.venv``, or the present one."""
        inside = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
        own = self.folder / ".venv" / inside
        return own if own.exists() else Path(sys.executable)

    def check(self) -> None:
        """Refuse a folder whose code would not run.

        Raises:
            UsageError: a process in the folder would import ``convae_zoo`` from elsewhere.
        """
        script = "import convae_zoo; print(convae_zoo.__file__)"
        done = self._run("-c", script)
        found = done.stdout.strip()
        if not found or not Path(found).resolve().is_relative_to(self.folder.resolve()):
            raise UsageError(f"{self.folder} is no checkout of convae_zoo: its source is not there")

    def bench(self, arguments: Sequence[str]) -> Document:
        """Run its own ``convae-zoo bench`` in a new process, and return the results.

        Raises:
            UsageError: the command fails.
        """
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "results.json"
            done = self._run("-m", "convae_zoo", "bench", *arguments, f"--out={out}")
            if done.returncode != 0:
                lines = done.stderr.strip().splitlines() or ["it says nothing"]
                raise UsageError(f"'convae-zoo bench' of {self.folder} failed: {lines[-1]}")
            return read(out)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        paths = os.pathsep.join(str(self.folder / name) for name in (".", "plugins"))
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )


def run_in_turns(
    old: Checkout,
    new: Checkout,
    arguments: Sequence[str],
    rounds: int,
    say: Callable[[str], None],
) -> tuple[list[Document], list[Document]]:
    """Run the benchmark of two checkouts so many times each: old, new, new, old, and so on.

    Args:
        old: one checkout.
        new: the other.
        arguments: of ``convae-zoo bench``.
        rounds: processes of each.
        say: called with a line before each round.

    Returns:
        The results of each, round by round.

    Raises:
        UsageError: a folder is no checkout, or its command fails.
    """
    for checkout in (old, new):
        checkout.check()
    found: tuple[list[Document], list[Document]] = ([], [])
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        order = ((0, old), (1, new))
        for index, checkout in order if number % 2 == 0 else order[::-1]:
            found[index].append(checkout.bench(arguments))
    return found

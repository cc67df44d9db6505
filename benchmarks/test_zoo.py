"""What the zoo itself costs: a fresh process that imports, lists or shows, beside a bare one.

Run with ``pytest benchmarks/test_zoo.py``. ``extra_info`` holds the median of a bare
``python -c pass`` measured in turns with the command, and how many times that the command takes.
"""

import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import pytest

ROUNDS = 20
SCRIPT = str(Path(sysconfig.get_path("scripts")) / "convae-zoo")
BARE = (sys.executable, "-c", "pass")
COMMANDS = {
    "import": (sys.executable, "-c", "import convae_zoo"),
    "list from python": (sys.executable, "-c", "import convae_zoo; convae_zoo.list_models()"),
    "list": (SCRIPT, "list"),
    "list --json": (SCRIPT, "list", "--json"),
    "show": (SCRIPT, "show", "convae-200"),
    "plugins": (SCRIPT, "plugins"),
}


def run(command: tuple[str, ...]) -> float:
    """Run a command in a fresh process and return the seconds that it took."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


@pytest.mark.parametrize("name", COMMANDS)
def test_a_fresh_process(benchmark: Any, name: str) -> None:
    """Time a command in fresh processes, a bare interpreter before each."""
    bare: list[float] = []
    seconds: list[float] = []
    benchmark.pedantic(
        lambda: seconds.append(run(COMMANDS[name])),
        setup=lambda: bare.append(run(BARE)),
        rounds=ROUNDS,
        warmup_rounds=1,
    )
    middle = statistics.median(bare[1:])
    benchmark.extra_info["bare_seconds"] = middle
    benchmark.extra_info["times_bare"] = statistics.median(seconds[1:]) / middle
    benchmark.extra_info["python"] = sys.version.split()[0]

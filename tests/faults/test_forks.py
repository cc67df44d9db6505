"""Two of every writing command at once on one output, and each of them killed at random moments.

``CONVAE_ZOO_KILLS=8`` kills each of the 17 commands 8 times, 136 times in all; ``CONVAE_ZOO_RACES``
is how often two of each race.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COMMANDS = (
    "train",
    "retrain --out",
    "retrain --store",
    "encode",
    "decode",
    "export",
    "compare",
    "reconstruct",
    "denoise",
    "sample",
    "leaderboard",
    "detect fit",
    "detect run",
    "detect evaluate",
    "pull --out",
    "new-plugin",
    "save_model",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the commands run in forks"),
]


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """What was tried with each command, with the problems that were found."""
    counts = [os.environ.get(f"CONVAE_ZOO_{what}", "1") for what in ("RACES", "KILLS")]
    done = subprocess.run(
        [sys.executable, HERE / "forks.py", tmp_path_factory.mktemp("forks"), *counts],
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(HERE.parent / "support"), *sys.path]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("command", COMMANDS)
def test_of_two_commands_at_once_one_writes_and_the_other_says_who_holds_the_output(tried, command):
    races = [each for each in tried if each["command"] == command and not each["kills"]]
    assert races
    assert [each["problems"] for each in races if each["problems"]] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_killed_at_random_leaves_whole_files_and_ends_as_an_undisturbed_one(
    tried, command
):
    """A run, or a decoding, that is started again goes on with what it has."""
    kills = [each for each in tried if each["command"] == command and each["kills"]]
    assert kills
    assert [each["problems"] for each in kills if each["problems"]] == []

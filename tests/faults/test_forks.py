"""Two of every writing command at once on one output, and each of them killed at random moments.

``CONVAE_ZOO_KILLS=8`` kills each of the 13 commands 8 times, 104 times in all; ``CONVAE_ZOO_RACES``
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
    "sample",
    "leaderboard",
    "pull --out",
    "new-plugin",
    "save_model",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the commands run in forks"),
]


def tried(folder, what, count):
    """Give what was tried, by command, with the problems that were found."""
    done = subprocess.run(
        [sys.executable, HERE / "forks.py", folder, what, count],
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
    found = json.loads(done.stdout.splitlines()[-1])
    return {name: [each for each in found if each["command"] == name] for name in COMMANDS}


@pytest.fixture(scope="module")
def races(tmp_path_factory):
    """What came of two of each command at once."""
    count = os.environ.get("CONVAE_ZOO_RACES", "1")
    return tried(tmp_path_factory.mktemp("races"), "races", count)


@pytest.mark.parametrize("command", COMMANDS)
def test_of_two_commands_at_once_one_writes_and_the_other_says_who_holds_the_output(races, command):
    assert races[command]
    assert [each["problems"] for each in races[command] if each["problems"]] == []


@pytest.fixture(scope="module")
def kills(tmp_path_factory):
    """What was left by each command after SIGKILL."""
    count = os.environ.get("CONVAE_ZOO_KILLS", "1")
    return tried(tmp_path_factory.mktemp("kills"), "kills", count)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_killed_at_random_leaves_whole_files_and_ends_as_an_undisturbed_one(
    kills, command
):
    """A run, or a decoding, that is started again goes on with what it has."""
    assert sum(each["kills"] for each in kills[command]) >= 1
    assert [each["problems"] for each in kills[command] if each["problems"]] == []

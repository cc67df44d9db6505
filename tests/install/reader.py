"""Follows instructions in this process, as a reader in a terminal: files, Python, commands.

Started as ``python reader.py FOLDER``, with a JSON list of steps [kind, where, content] on stdin.
The Python blocks of a page share their names, as in one session.
``convae-zoo`` is called in this process, which imports torch once instead of once per command.
The last line printed is the folder that the steps ended in.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from convae_zoo.cli import main

NAMES: dict[str, Any] = {"__name__": "__main__"}


def follow(kind: str, where: str, content: str) -> None:
    """Do one step; raise or exit where it fails."""
    if kind == "page":
        os.chdir(content)
        NAMES.clear()
        NAMES["__name__"] = "__main__"
    elif kind == "file":
        Path(where).write_text(content, encoding="utf-8")
    elif kind == "python":
        exec(compile(content, where, "exec"), NAMES)  # noqa: S102 - our own text
    elif content.startswith("convae-zoo "):
        if status := main(shlex.split(content)[1:]):
            sys.exit(f"{where}: {content}: exit status {status}")
    else:
        shell = f"{content}\npwd"  # last, the folder that a `cd` led to
        done = subprocess.run(["bash", "-ec", shell], check=True, capture_output=True, text=True)
        os.chdir(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    for step in json.load(sys.stdin):
        follow(*step)
    print(Path.cwd())

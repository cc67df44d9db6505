"""A second Python process that loads weights and runs them; started once, used for all entries."""

import atexit
import functools
import json
import os
import subprocess
import sys
from typing import Any

import torch

from convae_zoo.errors import ZooError, reason


class OtherProcess:
    """A Python process with an import path, computing on one thread as the checks do."""

    def __init__(self, path: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            text=True,
        )

    def run(self, **task: Any) -> None:
        """Load weights in the other process, run inputs there and write the outputs.

        Raises:
            ZooError: it failed there; the message is the other process's.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise ZooError("the other process has no pipes")
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            _started.cache_clear()
            raise ZooError(f"the other process died with status {self._process.wait()}")
        if error := json.loads(answer)["error"]:
            raise ZooError(f"in another process: {error}")

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


def other_process() -> OtherProcess:
    """Return the process with this one's import path, started at the first call for it."""
    return _started(os.pathsep.join(p for p in sys.path if p))


@functools.cache
def _started(path: str) -> OtherProcess:
    """Start a process that ends with this one."""
    process = OtherProcess(path)
    atexit.register(process.close)
    return process


def _work(task: dict[str, Any]) -> None:
    from safetensors.torch import load_file, save_file

    from convae_zoo.registry import get_registry
    from convae_zoo.testing.entry import Case, Entry, run
    from convae_zoo.weights.load import load_model

    if task["kind"] == "model":
        module: torch.nn.Module = load_model(task["weights"])
    else:
        entry = Entry(task["kind"], get_registry().get(task["kind"], task["name"]))
        module = Case(entry, task["values"]).build(seed=99)
        module.load_state_dict(load_file(task["weights"]), strict=True)
    x = load_file(task["inputs"])["x"].clone()  # aligned: another alignment rounds otherwise
    save_file({"y": run(module, x).contiguous()}, task["outputs"])


def main() -> None:
    """Answer tasks, one JSON document per line; what plugins print goes to stderr."""
    torch.set_num_threads(1)
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            try:
                _work(json.loads(line))
                error = ""
            except Exception as failure:  # noqa: BLE001 - whatever a plugin's code raises
                error = reason(failure)
            print(json.dumps({"error": error}), file=answers, flush=True)

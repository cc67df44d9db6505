"""Runs a command in a forked process in which a change of a file fails; shim.c is preloaded."""

import ctypes
import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import convae_zoo as zoo

SHIM = ctypes.CDLL(None)
FAULTS = {
    "ENOSPC": errno.ENOSPC,
    "EIO": errno.EIO,
    "EROFS": errno.EROFS,
    "SIGKILL": -signal.SIGKILL,
}

Ended = tuple[int, str, int]
"""The exit status of a command, its stderr, and the changes of files it made (-1: killed)."""


def child(run: Callable[[], int], outputs: Path, notes: Path, nth: int, fault: int) -> Ended:
    """Run a command in a fork of this process.

    Args:
        run: the command; returns its exit status.
        outputs: the folder in which changes are counted and fail.
        notes: a folder for what the command says.
        nth: the change from which on they fail; -1 for none.
        fault: one of `FAULTS`' values.
    """
    report, stderr = notes / "report", notes / "stderr"
    report.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        with stderr.open("w") as file, Path(os.devnull).open("w") as nowhere:
            os.dup2(file.fileno(), 2)
            os.dup2(nowhere.fileno(), 1)
        SHIM.fault_arm(os.fsencode(outputs), nth, fault)
        status = 70
        try:
            status = run()
        except zoo.ZooError as error:
            os.write(2, f"error: {error}\n".encode())
            status = 1
        finally:
            count = SHIM.fault_count()
            SHIM.fault_arm(b"/nowhere", -1, 0)
            report.write_text(str(count))
            os._exit(status)
    _, waited = os.waitpid(pid, 0)
    count = int(report.read_text()) if report.exists() else -1
    return os.waitstatus_to_exitcode(waited), stderr.read_text(), count


def boundaries(count: int, number: int, few: int) -> list[int]:
    """Choose where a fault happens: places spread over all, others for each fault."""
    return sorted({(number + place * len(FAULTS)) * 7919 % count for place in range(few)})

"""What holds for every request: where it may go, whether it may be made, how long it may take."""

import math
import os
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from convae_zoo.errors import UsageError, WeightsError

OFFLINE = ("CONVAE_ZOO_OFFLINE", "HF_HUB_OFFLINE")
TIMEOUT = "CONVAE_ZOO_TIMEOUT"
_PATIENCE = 30.0

T = TypeVar("T")


def check_online(what: str, instead: str) -> None:
    """Refuse a request where the environment forbids the network.

    Raises:
        WeightsError: ``CONVAE_ZOO_OFFLINE`` or ``HF_HUB_OFFLINE`` is set.
    """
    for variable in OFFLINE:
        if os.environ.get(variable, "").lower() in {"1", "on", "yes", "true"}:
            raise WeightsError(f"{what}: {variable} is set; unset it, or {instead}")


def one_line(text: object) -> str:
    """Make what a server said fit to be shown: one short line without control characters."""
    shown = "".join(c if c.isprintable() else " " for c in str(text))
    return " ".join(shown.split())[:200]


def patience() -> float:
    """Return the seconds after which a server that gives nothing is given up.

    Raises:
        UsageError: ``CONVAE_ZOO_TIMEOUT`` is not a number above 0.
    """
    text = os.environ.get(TIMEOUT)
    try:
        seconds = _PATIENCE if text is None else float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise UsageError(f"{TIMEOUT} must be a number of seconds above 0, got {text!r}")
    return seconds


def bounded(work: Callable[[], T], seconds: float) -> T:
    """Return what `work` returns, or raise what it raises, within `seconds`.

    The work has a thread of its own, which is left behind when the time is over: no timeout of a
    socket covers the look-up of a name, or an answer that comes in drop by drop.

    Raises:
        TimeoutError: the time is over.
    """
    outcome: queue.Queue[tuple[T | None, Exception | None]] = queue.Queue()

    def run() -> None:
        try:
            outcome.put((work(), None))
        except Exception as error:  # noqa: BLE001 - it is raised again by the caller's thread
            outcome.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # None only where T is None

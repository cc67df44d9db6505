"""Requests to stop: Ctrl-C or SIGTERM, answered between two steps."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import attrs


@attrs.define
class StopRequest:
    """The signal that asked the run to stop, if one came."""

    signal: int | None = None


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Take Ctrl-C and SIGTERM as a request to stop after the current step.

    A second Ctrl-C interrupts at once. Outside the main thread signals are left as they are.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def ask(number: int, _: FrameType | None) -> None:
        if request.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.signal = number

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

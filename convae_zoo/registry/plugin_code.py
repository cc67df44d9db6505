"""Calling plugins' code, isolated from the rest of the program."""

import contextlib
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TypeVar

from convae_zoo.errors import PluginError, reason

T = TypeVar("T")


def call_plugin(call: Callable[[], T]) -> T:
    """Call a plugin's code, an import included; its stdout is redirected to stderr.

    Warning filters that it sets are reset after the call.

    Raises:
        PluginError: it raised any exception.
        KeyboardInterrupt: the user interrupted it.
    """
    with (
        contextlib.redirect_stdout(sys.stderr),
        warnings.catch_warnings(),
        _interrupted() as interrupted,
    ):
        try:
            return call()
        except PluginError:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and interrupted():
                raise
            raise PluginError(reason(error)) from error


@contextlib.contextmanager
def _interrupted() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether SIGINT was received within the block.

    A plugin may raise KeyboardInterrupt itself. Only the main thread receives signals.
    """
    before = signal.getsignal(signal.SIGINT)
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield lambda: False
        return

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: bool(received)
    finally:
        signal.signal(signal.SIGINT, before)

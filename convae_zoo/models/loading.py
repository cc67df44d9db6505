"""Whether stored weights will be loaded into the model that is being built."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_loading: ContextVar[bool] = ContextVar("_loading", default=False)


def is_loading() -> bool:
    """Return whether stored weights will be loaded into the part that is being built.

    If so, a part that initialises its weights from a file or a download skips that: a stored model
    must load even if that file is missing.
    """
    return _loading.get()


@contextlib.contextmanager
def loading_state() -> Iterator[None]:
    """Make `is_loading` return True within the block."""
    token = _loading.set(True)
    try:
        yield
    finally:
        _loading.reset(token)

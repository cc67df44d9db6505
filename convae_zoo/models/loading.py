"""Whether a model that is being built gets stored weights next."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_loading: ContextVar[bool] = ContextVar("_loading", default=False)


def is_loading() -> bool:
    """Tell whether stored weights are loaded into what is being built.

    A part that starts from a file or a download skips that then: a stored model must load where
    the file is missing.
    """
    return _loading.get()


@contextlib.contextmanager
def loading_state() -> Iterator[None]:
    """Let `is_loading` return True for a while."""
    token = _loading.set(True)
    try:
        yield
    finally:
        _loading.reset(token)

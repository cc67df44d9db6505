"""Rules for every request: whether it is allowed, how long it may stall, how it is reported."""

import contextlib
import math
import os
import re
import socket
from collections.abc import Iterator

from convae_zoo.errors import UsageError, WeightsError, ZooError, printable

OFFLINE = ("CONVAE_ZOO_OFFLINE", "HF_HUB_OFFLINE")
TIMEOUT = "CONVAE_ZOO_TIMEOUT"
_DEFAULT_TIMEOUT = 30.0
_LONGEST_TIMEOUT = 24 * 3600.0


def check_online(action: str, alternative: str, error: type[ZooError] = WeightsError) -> None:
    """Refuse to use the network where the environment forbids it.

    Args:
        action: what cannot be done, as in "cannot download net.photos".
        alternative: what to do instead.
        error: the exception to raise.

    Raises:
        ZooError: ``CONVAE_ZOO_OFFLINE`` or ``HF_HUB_OFFLINE`` is set.
    """
    for variable in OFFLINE:
        if os.environ.get(variable, "").lower() in {"1", "on", "yes", "true"}:
            raise error(f"{action}: {variable} is set; unset it, or {alternative}")


def timeout() -> float:
    """Return the stall timeout: the seconds that a server may send nothing.

    Raises:
        UsageError: ``CONVAE_ZOO_TIMEOUT`` is not a number above 0 and at most a day.
    """
    text = os.environ.get(TIMEOUT)
    try:
        seconds = _DEFAULT_TIMEOUT if text is None else float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise UsageError(
            f"{TIMEOUT} must be a number of seconds above 0 and at most {_LONGEST_TIMEOUT:.0f}, "
            f"got {printable(text)[:40]!r}"
        )
    return seconds


@contextlib.contextmanager
def stalls_bounded() -> Iterator[None]:
    """Bound the stalls of requests that a library makes without a timeout of its own.

    Raises:
        UsageError: as `timeout` does.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(timeout())
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def without_password(text: object) -> str:
    """Return a text without the logins in its addresses."""
    return re.sub(r"//[^/?#\s]*@", "//", str(text))


def safe_text(text: object) -> str:
    """Return an address or a server's words as one short line without passwords or controls."""
    return printable(" ".join(without_password(text).split()))[:300]


def why_refused(status: int) -> str:
    """Say what an HTTP status other than success means and what to do."""
    match status:
        case 401 | 403:
            reason = "access refused; check the login ('hf auth login', or HF_TOKEN)"
        case 404 | 410:
            reason = "no such file"
        case 429:
            reason = "too many requests; try again later"
        case _ if status >= 500:  # noqa: PLR2004 - the first status of a server's own failures
            reason = "the server failed; try again later"
        case _:
            reason = "the server refuses the request"
    return f"{reason} (HTTP {status})"

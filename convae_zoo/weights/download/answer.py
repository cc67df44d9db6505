"""An HTTP answer that never makes its reader wait longer than agreed."""

import contextlib
import http.client
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from typing import IO, Any, cast

import attrs

from convae_zoo.errors import WeightsError
from convae_zoo.registry.addresses import is_allowed
from convae_zoo.weights.download.network import TIMEOUT, one_line

_SLOWEST = 4096  # bytes a second; a server slower than that is given up
_BLOCK = 2**16
_SERVER_FAILED = 500  # the first HTTP status of a server's own failures


class BrokenOffError(Exception):
    """The answer broke off; another try may get further."""


class RangeError(Exception):
    """The server has nothing behind the byte that was asked for."""


@attrs.frozen
class Head:
    """Status and headers of an answer."""

    status: int
    headers: Message

    @property
    def etag(self) -> str:
        """The tag that an ``If-Range`` may name: a strong one, or nothing."""
        tag = str(self.headers.get("ETag", ""))
        return tag if tag.startswith('"') else ""

    @property
    def length(self) -> int | None:
        """Bytes of the body, as declared."""
        text = str(self.headers.get("Content-Length", ""))
        return int(text) if text.isdecimal() else None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to where requests may go, and reads nothing of them but the address."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not is_allowed(newurl):
            raise WeightsError(
                f"{req.full_url} redirects to {one_line(newurl)}, which is not https"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any
    ) -> Any:
        fp.close()  # the body could be endless
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class Answer:
    """An answer that a thread of its own reads, so that waiting for it can be ended at any time.

    The timeout of a socket holds for one packet: it covers neither the look-up of a name nor a
    server that sends a byte now and then.

    Args:
        request: to an address that is allowed.
        patience: seconds for status and headers, and again for each stretch of the body.
    """

    def __init__(self, request: urllib.request.Request, patience: float) -> None:
        self._items: queue.Queue[Head | bytes | Exception] = queue.Queue(maxsize=16)
        self._closed = threading.Event()
        self._request, self._patience = request, patience
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        opener = urllib.request.build_opener(_Redirects)
        try:
            with opener.open(self._request, timeout=self._patience) as answer:
                going_on = self._put(Head(answer.status, answer.headers))
                while going_on:
                    block = answer.read1(_BLOCK)
                    going_on = self._put(block) and bool(block)
        except Exception as error:  # noqa: BLE001 - told by `_take`
            self._put(error)

    def _put(self, item: Head | bytes | Exception) -> bool:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._items.put(item, timeout=0.5)
                return True
        return False

    def _take(self, seconds: float) -> Head | bytes | None:
        try:
            item = self._items.get(timeout=max(seconds, 0))
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise self._told(item) from item
        return item

    def head(self) -> Head:
        """Wait for status and headers.

        Raises:
            BrokenOffError: the connection broke, or the server failed.
            RangeError: the range that was asked for lies behind the end of the file.
            WeightsError: the server cannot be reached, refuses, or is silent.
        """
        head = self._take(self._patience)
        if head is None:
            raise self._stalled()
        return cast("Head", head)

    def blocks(self) -> Iterator[bytes]:
        """Wait for the body, block by block, as long as it comes fast enough.

        Raises:
            BrokenOffError: the connection broke.
            WeightsError: the body comes too slowly, or not at all.
        """
        end, got = time.monotonic() + self._patience, 0
        while (block := self._take(end - time.monotonic())) != b"":
            if block is not None:
                got += len(cast("bytes", block))
                yield cast("bytes", block)
            if time.monotonic() >= end:
                if got < _SLOWEST * self._patience:
                    raise self._stalled()
                end, got = time.monotonic() + self._patience, 0

    def close(self) -> None:
        """Let go of it, read or not."""
        self._closed.set()

    def _stalled(self) -> WeightsError:
        return WeightsError(
            f"{self._request.full_url} gave nothing, or next to nothing, for "
            f"{self._patience:g} s; try again later, or set {TIMEOUT} to more seconds"
        )

    def _told(self, error: Exception) -> Exception:
        """Say what went wrong, as what the caller can do about it."""
        url = self._request.full_url
        match error:
            case WeightsError():
                return error
            case urllib.error.HTTPError():
                error.close()
                return _refused(url, error)
            case TimeoutError() | urllib.error.URLError(reason=TimeoutError()):
                return self._stalled()
            case urllib.error.URLError():
                return WeightsError(
                    f"{url} cannot be reached: {one_line(error.reason)}; check the network"
                )
            case _:
                return BrokenOffError(f"broke off ({one_line(error) or type(error).__name__})")


def _refused(url: str, error: urllib.error.HTTPError) -> Exception:
    match error.code:
        case http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return RangeError(error.headers.get("Content-Range", ""))
        case http.client.UNAUTHORIZED | http.client.FORBIDDEN:
            reason = "refuses access; it may need a login ('hf auth login', or HF_TOKEN)"
        case http.client.NOT_FOUND | http.client.GONE:
            reason = "has no such file"
        case http.client.TOO_MANY_REQUESTS:
            reason = "wants fewer requests; try again later"
        case code if code >= _SERVER_FAILED:
            return BrokenOffError(f"failed (HTTP {code})")
        case code if code < http.client.BAD_REQUEST:
            reason = "redirects without an end, or to where nothing is fetched from"
        case _:
            reason = "refuses the request"
    return WeightsError(f"{url} {reason} (HTTP {error.code})")

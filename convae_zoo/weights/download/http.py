"""One file over HTTP: bounded in size and in stall time, and only from allowed addresses."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urljoin

import attrs
import requests
import urllib3
from rich.console import Console
from rich.progress import track

from convae_zoo.errors import WeightsError
from convae_zoo.registry.addresses import is_allowed
from convae_zoo.weights.download.network import TIMEOUT, safe_text, timeout, why_refused

MAX_BYTES = 4 * 2**30
"""Largest file that is downloaded."""

_BLOCK = 2**16
_MAX_DIGITS = 18  # of a Content-Length; Python refuses to parse thousands of them


class _Session(requests.Session):
    """Follows redirects to allowed addresses only, and sends a login to its own host only."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is not None:
            resp.close()  # unread: the body could be endless
            address = urljoin(resp.url, target)
            if not is_allowed(address):
                raise WeightsError(
                    f"{safe_text(resp.url)} redirects to {safe_text(address)}, which is not https"
                )
        return target

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        if self.should_strip_auth(str(response.request.url), str(prepared_request.url)):
            prepared_request.headers.pop("Authorization", None)


@attrs.frozen(kw_only=True)
class Downloader:
    """Downloads one file; a `pooch` downloader.

    Attributes:
        headers: sent to the address itself, never to another host that it redirects to.
        max_bytes: a longer response is cut off.
    """

    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    max_bytes: int = MAX_BYTES

    def __call__(self, url: str, output_file: str, pooch: object = None) -> None:  # noqa: ARG002 - pooch passes it
        """Download `url` to `output_file`, with a progress bar on a terminal.

        Raises:
            WeightsError: the address is not allowed; or the server cannot be reached, refuses,
                stalls, sends too much, or closes the connection early.
            OSError: the file cannot be written.
        """
        if not is_allowed(url):
            raise WeightsError(f"{safe_text(url)} is not an https address; nothing was downloaded")
        try:
            with (
                _Session() as session,
                session.get(
                    url,
                    headers={"Accept-Encoding": "identity"},
                    auth=self._log_in,
                    stream=True,
                    timeout=timeout(),
                ) as response,
            ):
                if response.status_code != requests.codes.ok:
                    raise WeightsError(f"{safe_text(url)}: {why_refused(response.status_code)}")
                self._check_length(url, response.headers)
                self._write(url, response, Path(output_file))
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise WeightsError(f"{safe_text(url)} {_what_failed(error)}") from error

    def _log_in(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the headers; given as `auth`, so that requests does not read a .netrc instead."""
        request.headers.update(self.headers)
        return request

    def _check_length(self, url: str, headers: Mapping[str, str]) -> None:
        length = headers.get("Content-Length", "")
        if length.isdecimal() and (len(length) > _MAX_DIGITS or int(length) > self.max_bytes):
            raise self._too_large(url)

    def _write(self, url: str, response: requests.Response, path: Path) -> None:
        path.unlink()  # pooch made it readable by one user; a shared cache needs the umask's mode
        length, console, received = response.raw.length_remaining, Console(stderr=True), 0
        blocks = track(
            response.iter_content(_BLOCK),
            "Downloading",
            total=length and length / _BLOCK,
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        with path.open("xb") as file:
            for block in blocks:
                received += len(block)
                if received > self.max_bytes:
                    raise self._too_large(url)
                file.write(block)

    def _too_large(self, url: str) -> WeightsError:
        return WeightsError(
            f"{safe_text(url)} sends more than the expected {self.max_bytes} bytes; "
            "nothing was kept"
        )


def _what_failed(error: Exception) -> str:
    root: BaseException = error
    while (inner := root.__cause__ or root.__context__) is not None:
        root = inner
    match error, root:
        case requests.TooManyRedirects(), _:
            return "redirects without end"
        case _, TimeoutError():
            return (
                f"sent nothing for {timeout():g} s; try again later, or set {TIMEOUT} to more "
                "seconds"
            )
        case requests.ConnectionError(), OSError():
            reason = root.strerror or safe_text(root)
            return f"cannot be reached: {reason}; check the network and try again"
        case _:
            return f"broke off: {safe_text(root)}; try again"

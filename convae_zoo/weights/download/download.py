"""One download over HTTP: resumable, bounded in time and in size."""

import http.client
import re
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import attrs
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from convae_zoo.errors import WeightsError
from convae_zoo.registry.addresses import is_allowed
from convae_zoo.weights.download.answer import Answer, BrokenOffError, Head, RangeError
from convae_zoo.weights.download.network import patience

LARGEST = 4 * 2**30
"""Bytes of the largest file that is fetched."""

_PAUSES = (0.5, 1.0)  # seconds before each further try


@attrs.frozen(kw_only=True)
class Download:
    """A file at an address, and the partial file that it grows in.

    Attributes:
        url: an https address, or http on this machine.
        part: where the bytes go; its folder exists.
        headers: sent to that address, but not to where it redirects.
        size: bytes of the file, where they are known.
        largest: bytes above which an answer is cut off.
    """

    url: str
    part: Path
    headers: Mapping[str, str] = attrs.field(factory=dict)
    size: int | None = None
    largest: int = LARGEST

    @property
    def have(self) -> int:
        """Bytes that are there."""
        return self.part.stat().st_size if self.part.exists() else 0

    @property
    def _tag(self) -> Path:
        """Where the server's tag of the file lies."""
        return self.part.with_suffix(".etag")

    def discard(self) -> None:
        """Remove what is there."""
        self.part.unlink(missing_ok=True)
        self._tag.unlink(missing_ok=True)

    def run(self) -> None:
        """Fetch the file, going on behind what an earlier download left.

        What came stays when the connection breaks. Parts of two versions are not joined where
        the server tells them apart by an ``ETag``. A bar is shown on a terminal.

        Raises:
            WeightsError: the server cannot be reached, refuses, fails, is too slow, or sends too
                much or too little.
            OSError: `part` cannot be written.
        """
        if not is_allowed(self.url):
            raise WeightsError(f"{self.url} is not an https address; nothing was fetched")
        for pause in (*_PAUSES, None):
            try:
                return self._go_on()
            except BrokenOffError as error:
                if pause is None:
                    kept = f"; {self.have} bytes are kept and gone on from" if self.have else ""
                    raise WeightsError(f"{self.url} {error}; try again later{kept}") from error
                time.sleep(pause)
        return None

    def _go_on(self) -> None:
        start = self.have
        if self.size is not None and start == self.size:
            return
        tag = self._tag.read_text("latin-1") if start and self._tag.exists() else ""
        request = urllib.request.Request(self.url)  # noqa: S310 - the scheme was checked
        for name, value in self.headers.items():
            request.add_unredirected_header(name, value)
        if start:
            request.add_header("Range", f"bytes={start}-")
        if tag:
            request.add_header("If-Range", tag)
        answer = Answer(request, patience())
        try:
            head = answer.head()
            if head.status == http.client.PARTIAL_CONTENT:
                total = self._check_range(head, start, tag)
            else:
                start, total = 0, head.length
            if total is not None:
                self._check_size(total)
            self._write(answer, head, start, total)
        except RangeError as error:
            if str(error) != f"bytes */{start}":  # else nothing was missing
                self.discard()
                raise BrokenOffError("has less than an earlier download got of it") from error
        finally:
            answer.close()

    def _check_range(self, head: Head, start: int, tag: str) -> int | None:
        """Return the size of the whole file where the answer goes on from `start`."""
        text = str(head.headers.get("Content-Range", ""))
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", text)
        if found is None or int(found[1]) != start or (tag and head.etag != tag):
            self.discard()
            raise BrokenOffError("has changed since an earlier download began")
        return int(found[2]) if found[2] != "*" else None

    def _check_size(self, total: int) -> None:
        expected = f"{self.size} were" if self.size is not None else f"at most {self.largest} are"
        if total > self.largest or (self.size is not None and total != self.size):
            self.discard()
            raise WeightsError(
                f"{self.url} has {total} bytes where {expected} expected; nothing was kept"
            )

    def _write(self, answer: Answer, head: Head, start: int, total: int | None) -> None:
        largest = self.largest if self.size is None else self.size
        if not start:
            self._tag.write_text(head.etag, "latin-1")
        have = start
        with self.part.open("ab" if start else "wb") as file, _bars() as bars:
            bar = bars.add_task(self.url.rpartition("/")[2], total=total, completed=start)
            for block in answer.blocks():
                have += len(block)
                if have > largest:
                    break
                file.write(block)
                bars.update(bar, completed=have)
        if have > largest:
            self.discard()
            raise WeightsError(f"{self.url} sends more than {largest} bytes; nothing was kept")
        if total is not None and have != total:
            raise BrokenOffError(f"broke off at {have} of {total} bytes")


def _bars() -> Progress:
    console = Console(file=sys.stderr)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )

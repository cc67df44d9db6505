"""Reads README.md as a reader does: its blocks in order, and what the text says about each."""

import re
from collections.abc import Iterator
from pathlib import Path

import attrs

REPOSITORY = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->\n$")
_FILE = re.compile(r"`([\w/]+\.\w+)`[^`]*:\n\n$")


@attrs.frozen
class Block:
    """A fenced block.

    Attributes:
        language: after the fence.
        text: between the fences.
        line: the number of the line that opens it.
        file: the file that the sentence before the block names, if it does.
        not_run: the reason that the comment before the block gives for not running it, if any.
    """

    language: str
    text: str
    line: int
    file: str | None
    not_run: str | None

    @property
    def commands(self) -> list[str]:
        """The lines after ``$``, continued ones joined, comments removed."""
        joined = self.text.replace("\\\n", " ")
        lines = [line.removeprefix("$ ") for line in joined.splitlines()]
        return [re.sub(r"\s+#.*", "", line) for line in lines]


def blocks(text: str) -> Iterator[Block]:
    """Find the blocks of a text in Markdown."""
    for found in _FENCE.finditer(text):
        before = text[: found.start()]
        marked, named = _NOT_RUN.search(before), _FILE.search(before)
        yield Block(
            language=found[1],
            text=found[2],
            line=before.count("\n") + 1,
            file=named[1] if named else None,
            not_run=marked[1] if marked else None,
        )


README = tuple(blocks((REPOSITORY / "README.md").read_text(encoding="utf-8")))
"""The blocks of the repository's README."""


def make_targets() -> list[str]:
    """The targets that the Makefile declares."""
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    return " ".join(re.findall(r"^([\w -]+):", makefile, re.MULTILINE)).split()

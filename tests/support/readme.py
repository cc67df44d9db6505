"""Reads README.md and docs/ as a reader does: blocks in order, and what the text says of each."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import attrs

REPOSITORY = Path(__file__).parents[2]

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->\n$")
_NEEDS = re.compile(r"<!-- needs: (\w+) -->\n$")
_INCLUDED = re.compile(r"\{literalinclude\} (\S+)$")
_CAPTION = re.compile(r"^:caption: (\S+)$", re.MULTILINE)


@attrs.frozen
class Block:
    """A fenced block.

    Attributes:
        page: the file that it is in, from the root of the repository.
        language: after the fence.
        text: between the fences.
        line: the number of the line that opens it.
        file: the file that the block shows, if it includes one of the repository: its caption.
        not_run: the reason that the comment before the block gives for not running it, if any.
        needs: the package without which it is not run, named by the comment before the block.
    """

    page: str
    language: str
    text: str
    line: int
    file: str | None
    not_run: str | None
    needs: str | None

    @property
    def is_run(self) -> bool:
        """Whether a test runs it."""
        is_there = self.needs is None or find_spec(self.needs) is not None
        return self.not_run is None and is_there

    @property
    def commands(self) -> list[str]:
        """The lines after ``$``, continued ones joined, comments removed."""
        joined = self.text.replace("\\\n", " ")
        lines = [line.removeprefix("$ ") for line in joined.splitlines()]
        return [re.sub(r"\s+#.*", "", line) for line in lines]


def blocks(page: str) -> Iterator[Block]:
    """Find the blocks of a page in Markdown; what Sphinx inserts is one if it is a whole file."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        before, content, file = text[: found.start()], found[2], None
        if included := _INCLUDED.match(found[1]):
            source = (REPOSITORY / page).parent / included[1]
            content, file = source.read_text(encoding="utf-8"), _CAPTION.search(found[2])[1]
        elif found[1].startswith("{"):
            continue
        marked, needed = _NOT_RUN.search(before), _NEEDS.search(before)
        yield Block(
            page=page,
            language=found[1],
            text=content,
            line=before.count("\n") + 1,
            file=file,
            not_run=marked[1] if marked else None,
            needs=needed[1] if needed else None,
        )


PAGES = {
    page: found
    for page in (
        "README.md",
        *sorted(
            str(path.relative_to(REPOSITORY))
            for path in (REPOSITORY / "docs").rglob("*.md")
            if "_build" not in path.parts
        ),
    )
    if (found := tuple(blocks(page)))
}
"""The blocks of the repository's README and of each page of the docs."""


def make_targets() -> list[str]:
    """The targets that the Makefile declares."""
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    return " ".join(re.findall(r"^([\w -]+):", makefile, re.MULTILINE)).split()

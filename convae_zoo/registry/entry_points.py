"""Entry points of the installed distributions; damaged metadata affects only its distribution."""

import email.parser
import functools
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, distributions

import attrs

from convae_zoo.errors import PluginError
from convae_zoo.registry.distributions import normal_name
from convae_zoo.registry.specs import Provenance

_SECTION = re.compile(r"^\[(.*)\]", re.MULTILINE)
_NAME = re.compile(r"^\s*([^\[=#;]+?)\s*=", re.MULTILINE)


@attrs.frozen(eq=False)
class Found:
    """A plugin's entry point, as its distribution declares it.

    Attributes:
        entry_point: None if the distribution's ``entry_points.txt`` is damaged.
        requires: the distribution's requirements.
    """

    provenance: Provenance
    entry_point: EntryPoint | None
    requires: tuple[str, ...]

    def load(self) -> object:
        """Import what the entry point names.

        Raises:
            PluginError: the distribution's ``entry_points.txt`` is damaged.
        """
        if self.entry_point is None:
            raise PluginError(
                f"entry_points.txt of {self.provenance.distribution} is damaged; reinstall it"
            )
        return self.entry_point.load()


def find_entry_points(group: str) -> list[Found]:
    """List the entry points of a group, each distribution once, in the order of ``sys.path``."""
    found: list[Found] = []
    seen: set[str] = set()
    for distribution in distributions():
        key = _key(distribution)
        if key not in seen:
            seen.add(key)
            found += _of_distribution(distribution, group)
    return found


def _of_distribution(distribution: Distribution, group: str) -> Iterator[Found]:
    points: dict[str, EntryPoint | None]
    try:
        points = {e.name: e for e in distribution.entry_points if e.group == group}
    except Exception as error:  # noqa: BLE001 - whatever a damaged file raises in the parser
        text = (
            _decoded(error)
            if isinstance(error, UnicodeDecodeError)
            else distribution.read_text("entry_points.txt")
        )
        points = dict.fromkeys(_names(text or "", group))
    for name, point in points.items():
        own_name, version, requires = _metadata(distribution)
        yield Found(Provenance(name, own_name, version), point, requires)


def _names(text: str, group: str) -> list[str]:
    """List the names in a group's section of an ``entry_points.txt``."""
    sections = _SECTION.split(text)[1:]
    return [
        name
        for head, body in zip(sections[::2], sections[1::2], strict=True)
        if head.strip() == group
        for name in _NAME.findall(body)
    ]


@functools.cache  # each access parses METADATA, which holds the README
def _metadata(distribution: Distribution) -> tuple[str, str, tuple[str, ...]]:
    """Return a distribution's name, version and requirements, or placeholders for missing ones."""
    try:
        metadata = distribution.metadata
        name, version = metadata["Name"], metadata["Version"]
        requires = metadata.get_all("Requires-Dist")
    except UnicodeDecodeError as error:
        message = email.parser.HeaderParser().parsestr(_decoded(error))
        name, version = message["Name"], message["Version"]
        requires = message.get_all("Requires-Dist")
    # A distribution whose metadata is damaged has None for both.
    return name or "an unknown distribution", version or "?", tuple(requires or ())


def _decoded(error: UnicodeDecodeError) -> str:
    """Return the text that is not UTF-8, with replacement characters for the invalid bytes."""
    return bytes(error.object).decode(errors="replace")


def _key(distribution: Distribution) -> str:
    """Return a distribution's identity: its normalised name, if possible without METADATA."""
    folder = getattr(getattr(distribution, "_path", None), "name", None)
    name = folder.partition("-")[0] if folder else _metadata(distribution)[0]
    return normal_name(name)

"""Check entries: property by property, each in one line."""

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator, Sequence

from convae_zoo.errors import ZooWarning, reason, unknown
from convae_zoo.runtime.modes import threads
from convae_zoo.testing.entry import Entry
from convae_zoo.testing.properties import PROPERTIES
from convae_zoo.testing.result import FAILED, PASSED, SKIPPED, ConformanceFailure, Result, Skip


def properties_of(kind: str, chosen: Sequence[str] = ()) -> list[str]:
    """List the properties of a kind of entry, only the chosen ones where some are chosen.

    Raises:
        UnknownNameError: a chosen name is not a property.
    """
    for name in chosen:
        if name not in PROPERTIES:
            raise unknown("property", name, PROPERTIES)
    return [n for n, p in PROPERTIES.items() if kind in p.kinds and (not chosen or n in chosen)]


def check_property(entry: Entry, name: str) -> None:
    """Check one property of one entry.

    Raises:
        ConformanceFailure: the entry does not have it.
        Skip: it cannot be checked here, or does not apply to this entry.
    """
    who = f"{entry.kind} {entry.name!r} fails {name!r}"
    source = entry.provenance
    tell = f"tell plugin {source.plugin!r} of {source.distribution} {source.version}"
    try:
        with _quiet(), threads(1):
            PROPERTIES[name].check(entry)
    except ConformanceFailure as failure:
        raise ConformanceFailure(_line(f"{who}: {failure}; {tell}")) from failure.__cause__
    except Skip:
        raise
    except Exception as error:
        notes = "; ".join(getattr(error, "__notes__", ()))
        where = f" ({_line(notes):.200})" if notes else ""
        raise ConformanceFailure(f"{who}: it raised {reason(error)}{where}; {tell}") from error


def check(entry: Entry, properties: Sequence[str] = ()) -> Iterator[Result]:
    """Check an entry's properties, all or the chosen ones; yield each result."""
    for name in properties_of(entry.kind, properties):
        started = time.perf_counter()
        status, detail = PASSED, ""
        try:
            check_property(entry, name)
        except Skip as skip:
            status, detail = SKIPPED, _line(str(skip))
        except ConformanceFailure as failure:
            status, detail = FAILED, str(failure)
        yield Result(
            kind=entry.kind,
            name=entry.name,
            plugin=entry.provenance.plugin,
            distribution=entry.provenance.distribution,
            property=name,
            status=status,
            detail=detail,
            seconds=time.perf_counter() - started,
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence compilers and exporters; the zoo's own warnings pass."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", ZooWarning)
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


def _line(text: str) -> str:
    return " ".join(text.split())

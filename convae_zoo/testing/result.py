"""The result of a check: passed, failed or skipped, and why."""

import attrs

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class ConformanceFailure(AssertionError):  # noqa: N818 - a failed test, not an error of the zoo
    """An entry does not have a property.

    The message is one line: entry, property, the smallest input that shows it, and the plugin
    whose author to tell.
    """


class Skip(Exception):  # noqa: N818 - not an error
    """A property cannot be checked here, or does not apply; the message is the reason."""


@attrs.frozen(kw_only=True)
class Result:
    """The result of one property of one entry.

    Attributes:
        kind: of the entry.
        name: of the entry.
        plugin: the plugin that registered it.
        distribution: the distribution of the plugin.
        property: its name in `convae_zoo.testing.PROPERTIES`.
        status: ``passed``, ``failed`` or ``skipped``.
        detail: the failure's line or the skip's reason; empty where it passed.
        seconds: what the check took.
    """

    kind: str
    name: str
    plugin: str
    distribution: str
    property: str
    status: str
    detail: str
    seconds: float

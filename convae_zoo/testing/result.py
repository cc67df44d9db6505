"""What a check gives: passed, failed or skipped, and why."""

import attrs

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class ConformanceFailure(AssertionError):  # noqa: N818 - a failed test, not an error of the zoo
    """An entry does not have a property.

    The message is one line: entry, property, what was found at which smallest input, and the
    plugin to tell.
    """


class Skip(Exception):  # noqa: N818 - not an error
    """A property cannot be checked here, or says nothing about this entry; the reason is told."""


@attrs.frozen(kw_only=True)
class Result:
    """How one property of one entry was found.

    Attributes:
        kind: of the entry: ``encoder``, ``decoder``, ``loss``, ``dataset`` or ``model``.
        name: of the entry.
        plugin: that registered it.
        distribution: that installed the plugin.
        property: its name in `convae_zoo.testing.PROPERTIES`.
        status: ``passed``, ``failed`` or ``skipped``.
        detail: the failure's line or the skip's reason; empty where it passed.
        seconds: that the check took.
    """

    kind: str
    name: str
    plugin: str
    distribution: str
    property: str
    status: str
    detail: str
    seconds: float

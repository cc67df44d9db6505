"""Distribution names, and the zoo versions that distributions require."""

import functools
import re
from collections.abc import Iterable

OWN_DISTRIBUTION = "convae-zoo"

_RELEASE = re.compile(r"\d+(\.\d+)*")
_OF_EXTRA = re.compile(r""";\s*extra\s*==\s*(['"])[^'"]*\1\s*$""")
_LOWER_BOUND = re.compile(
    rf"convae[-_.]+zoo\s*(>=\s*(?P<lowest>{_RELEASE.pattern}))?\s*", re.IGNORECASE
)


def normal_name(distribution: str) -> str:
    """Normalise a distribution's name: to pip, ``-``, ``_`` and ``.`` are the same."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@functools.cache
def zoo_version() -> str:
    """Return the installed version of the zoo."""
    from importlib.metadata import version  # a third of the time of `list`

    return version(OWN_DISTRIBUTION)


def unmet_requirement(required: Iterable[str]) -> str:
    """Return a requirement on the zoo that the installed version does not meet; empty if none.

    Importing packaging takes a tenth of the time of ``list``, so it is imported only for
    requirements that say more than a lower bound.

    Args:
        required: a distribution's requirements.
    """
    texts = [
        text
        for text in required
        if normal_name(text).startswith(OWN_DISTRIBUTION) and not _is_plainly_met(text)
    ]
    if not texts:
        return ""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in texts:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue  # pip accepted it
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if (
            normal_name(requirement.name) == OWN_DISTRIBUTION
            and applies
            and not requirement.specifier.contains(zoo_version(), prereleases=True)
        ):
            return f"{OWN_DISTRIBUTION}{requirement.specifier}"
    return ""


def _is_plainly_met(requirement: str) -> bool:
    """Tell whether a requirement is of an extra, has no bound, or a lower bound that is met."""
    if _OF_EXTRA.search(requirement):
        return True
    bound = _LOWER_BOUND.fullmatch(requirement)
    if bound is None:
        return False
    lowest, installed = bound["lowest"], zoo_version()
    if lowest is None:
        return True
    # Only of releases is the order that of their numbers.
    return _RELEASE.fullmatch(installed) is not None and _numbers(installed) >= _numbers(lowest)


def _numbers(release: str) -> list[int]:
    return [int(number) for number in re.sub(r"(\.0)+$", "", release).split(".")]

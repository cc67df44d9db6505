"""Names of distributions, and the version of the zoo that they require."""

import functools
import re
from collections.abc import Iterable

OWN_DISTRIBUTION = "convae-zoo"


def normal_name(distribution: str) -> str:
    """Normalize a distribution's name: pip takes ``-``, ``_`` and ``.`` for the same."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@functools.cache
def zoo_version() -> str:
    """Return the version of the zoo that is installed."""
    from importlib.metadata import version  # a third of the time that a listing takes

    return version(OWN_DISTRIBUTION)


def unmet_requirement(required: Iterable[str]) -> str:
    """Return the requirement on the zoo that the installed one does not meet; empty where none is.

    Importing packaging takes a tenth of the time of a listing, so it is imported only where the
    zoo is required.

    Args:
        required: a distribution's requirements.
    """
    texts = [text for text in required if normal_name(text).startswith(OWN_DISTRIBUTION)]
    if not texts:
        return ""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in texts:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue  # pip let it pass
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if (
            normal_name(requirement.name) == OWN_DISTRIBUTION
            and applies
            and not requirement.specifier.contains(zoo_version(), prereleases=True)
        ):
            return f"{OWN_DISTRIBUTION}{requirement.specifier}"
    return ""

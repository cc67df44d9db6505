"""Distribution names, and the zoo versions that distributions require."""

import functools
import re
from collections.abc import Iterable

OWN_DISTRIBUTION = "convae-zoo"


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
    distributions that require the zoo.

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
            continue  # pip accepted it
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if (
            normal_name(requirement.name) == OWN_DISTRIBUTION
            and applies
            and not requirement.specifier.contains(zoo_version(), prereleases=True)
        ):
            return f"{OWN_DISTRIBUTION}{requirement.specifier}"
    return ""

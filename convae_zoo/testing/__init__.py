"""The conformance kit: tests that every entry must pass, for authors of plugins.

A plugin's test file needs two lines; each property of each of its entries becomes a test::

    from convae_zoo.testing import conformance_tests

    test_conformance = conformance_tests(plugin="tiny")

The same checks run from the command line as ``convae-zoo verify --plugin tiny``. A failure is one
line: the entry, the property, the smallest input that shows it, and the plugin to tell. What cannot
be checked (a missing package, missing data) is skipped with the reason.

Configs are drawn by hypothesis from the domains that `convae_zoo.registry.fields` gives to config
fields; a field without a domain keeps its default.
"""

from importlib.util import find_spec

from convae_zoo.errors import UsageError

if find_spec("hypothesis") is None:
    raise UsageError("the conformance kit needs hypothesis: pip install 'convae-zoo[test]'")

from convae_zoo.testing.checking import check, check_property, properties_of
from convae_zoo.testing.entry import Entry, entries
from convae_zoo.testing.properties import PROPERTIES, Property
from convae_zoo.testing.pytest_tests import conformance_tests
from convae_zoo.testing.result import ConformanceFailure, Result, Skip

__all__ = [
    "PROPERTIES",
    "ConformanceFailure",
    "Entry",
    "Property",
    "Result",
    "Skip",
    "check",
    "check_property",
    "conformance_tests",
    "entries",
    "properties_of",
]

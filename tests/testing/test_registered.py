"""Every entry of the installed plugins keeps the zoo's contract."""

import pytest

from convae_zoo.testing import conformance_tests, entries

pytestmark = pytest.mark.slow

OWN_TESTS = {"backbones"}
"""Plugins whose own tests, in this repository, run the kit."""

PLUGINS = sorted({entry.provenance.plugin for entry in entries()} - OWN_TESTS)

globals().update({f"test_{name}": conformance_tests(plugin=name, examples=3) for name in PLUGINS})

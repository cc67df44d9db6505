"""Every entry of the installed plugins keeps the zoo's contract."""

import pytest

from convae_zoo.testing import conformance_tests, entries

pytestmark = pytest.mark.slow

EXAMPLES = {"backbones": 1}
"""Networks of tens of millions of parameters are drawn once per property, others three times."""

PLUGINS = sorted({entry.provenance.plugin for entry in entries()})

globals().update(
    {
        f"test_{name}": conformance_tests(plugin=name, examples=EXAMPLES.get(name, 3))
        for name in PLUGINS
    }
)

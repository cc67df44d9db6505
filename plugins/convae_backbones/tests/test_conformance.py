"""Everything that the plugin registers keeps the zoo's contract."""

import pytest

from convae_zoo.testing import conformance_tests

pytestmark = pytest.mark.slow

test_conformance = conformance_tests(plugin="backbones", examples=2)

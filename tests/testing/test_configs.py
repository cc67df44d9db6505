"""The values that the kit draws and refuses follow from a field's domain."""

import attrs
from hypothesis import given
from hypothesis import strategies as st

from convae_zoo import EncoderSpec, fields, hookimpl, registry
from convae_zoo.testing import check, entries
from convae_zoo.testing.configs import smallest


@attrs.frozen(kw_only=True)
class EvenConfig:
    """A multiple that the minimum is not: 1 is refused, and 1 + 1 is taken."""

    image_size: int = fields.integer(16, multiple_of=2)

    @property
    def input_shape(self):
        return (3, self.image_size, self.image_size)

    @property
    def latent_shape(self):
        return (4,)


class EvenPlugin:
    @hookimpl
    def register_encoders(self, register):
        register(EncoderSpec(name="even", factory="nowhere:Encoder", config=EvenConfig))


def test_a_minimum_that_is_no_multiple_does_not_fail_a_sound_config():
    with registry.override(plugins=[EvenPlugin()]):
        (entry,) = entries("encoder:even")
        results = {r.property: r for r in check(entry, ["bad-config", "config-json"])}
    assert {r.status for r in results.values()} == {"passed"}, results


@given(st.integers(-50, 50), st.integers(1, 9), st.none() | st.integers(-60, 60))
def test_the_smallest_value_of_a_domain_is_a_legal_one(minimum, multiple_of, at_least):
    found = smallest(fields.Integers(minimum, multiple_of), at_least)
    bound = minimum if at_least is None else max(minimum, at_least)
    assert bound <= found < bound + multiple_of
    assert found % multiple_of == 0

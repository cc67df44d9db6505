"""Fields of config classes."""

import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convae_zoo.registry import fields


def config(field):
    """Make a config class with one field ``x``."""
    return attrs.make_class("Config", {"x": field})


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())
)


@given(st.integers(-5, 50), st.integers(1, 7), st.one_of(st.integers(-100, 1000), anything))
def test_an_integer_accepts_exactly_the_declared_whole_numbers(minimum, multiple_of, value):
    default = minimum + -minimum % multiple_of
    made = config(fields.integer(default, minimum=minimum, multiple_of=multiple_of))
    good = type(value) is int and minimum <= value < 2**64 and value % multiple_of == 0
    if good:
        assert made(value).x == value
    else:
        with pytest.raises(ValueError, match=f"x must be a whole number of at least {minimum}"):
            made(value)


@given(st.one_of(st.floats(), anything))
def test_a_number_accepts_finite_numbers_in_its_closed_range(value):
    made = config(fields.number(0.5, minimum=0, maximum=1))
    if type(value) in {int, float} and math.isfinite(value) and 0 <= value <= 1:
        assert made(value).x == value
    else:
        with pytest.raises(ValueError, match="x must be a number from 0 to 1, got"):
            made(value)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 10**400])
def test_a_number_without_a_range_must_be_finite(value):
    with pytest.raises(ValueError, match="x must be a number, got"):
        config(fields.number(0.5))(value)


@given(st.one_of(st.floats(), st.tuples(st.floats(-1, 2), st.floats(-1, 2)), anything))
def test_a_span_accepts_a_number_or_an_ascending_pair_of_numbers(value):
    made = config(fields.span(0.5, minimum=0, maximum=1))
    ends = list(value) if isinstance(value, tuple | list) else [value, value]
    numbers = len(ends) == 2 and all(type(end) in {int, float} for end in ends)
    if numbers and 0 <= ends[0] <= ends[1] <= 1:
        assert made(value).x == (tuple(value) if isinstance(value, list) else value)
    else:
        with pytest.raises(ValueError, match="x must be a number from 0 to 1 or a range LOW:HIGH"):
            made(value)


@given(anything)
def test_a_choice_accepts_only_its_options(value):
    made = config(fields.choice("relu", ["relu", "gelu"]))
    assert made("gelu").x == "gelu"
    with pytest.raises(ValueError, match="x must be one of relu, gelu, got"):
        made(value)


@pytest.mark.parametrize("value", [7.0, True, 4, "7"])
def test_a_choice_of_whole_numbers_accepts_no_other_type(value):
    made = config(fields.choice(1, [1, 7]))
    assert made(7).x == 7
    with pytest.raises(ValueError, match="x must be one of 1, 7, got"):
        made(value)


@given(anything)
def test_a_flag_accepts_true_and_false_but_no_number(value):
    made = config(fields.flag(default=False))
    if isinstance(value, bool):
        assert made(value).x is value
    else:
        with pytest.raises(ValueError, match="x must be true or false, got"):
            made(value)


def test_a_text_accepts_none_only_as_its_default():
    assert config(fields.text())(None).x is None
    assert config(fields.text("a"))("b").x == "b"
    with pytest.raises(ValueError, match="x must be a string, got None"):
        config(fields.text("a"))(None)
    with pytest.raises(ValueError, match="x must be a string or nothing, got 3"):
        config(fields.text())(3)


def test_a_value_range_read_from_json_is_the_same_as_one_in_python():
    assert config(fields.value_range())([0, 1.0]).x == (0, 1.0)


@pytest.mark.parametrize(
    "value",
    [
        (1, 1),
        (1, -1),
        (0,),
        (0, 1, 2),
        ("0", "1"),
        (False, True),
        (0, math.inf),
        (math.nan, 1),
        (0, 5e-324),
        (1e6, 1e6 + 1),
        (-1e300, 1e300),
        (0, 10**400),
        "01",
        None,
        3,
    ],
)
def test_a_value_range_is_two_finite_numbers_in_ascending_order(value):
    with pytest.raises(
        ValueError,
        match=r"x must be \(low, high\) with low < high, far enough apart for float32, got",
    ):
        config(fields.value_range())(value)


def test_an_overlong_value_is_cut_in_the_message():
    with pytest.raises(ValueError, match="got 'aaa") as caught:
        config(fields.integer(1))("a" * 10_000)
    assert len(str(caught.value)) < 200


def test_a_default_is_checked_like_any_value():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        config(fields.integer(0))()


@pytest.mark.parametrize(
    ("field", "words", "domain"),
    [
        (
            fields.integer(4, minimum=4, multiple_of=4),
            "a whole number of at least 4 that is divisible by 4",
            fields.Integers(4, 4),
        ),
        (fields.number(0.1, minimum=0), "a number from 0", fields.Numbers(0, math.inf)),
        (fields.choice("a", ("a", "b")), "one of a, b", fields.Choices(("a", "b"))),
        (fields.flag(default=True), "true or false", fields.Choices((False, True))),
        (fields.text(), "a string or nothing", None),
        (attrs.field(default=3), "", None),
    ],
)
def test_a_field_describes_what_it_accepts_in_words_and_as_a_domain(field, words, domain):
    attribute = attrs.fields(config(field)).x
    assert fields.accepted(attribute) == words
    assert fields.domain_of(attribute) == domain

"""Entries named in a string with their configs."""

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convae_zoo.errors import ConfigError, UnknownNameError
from convae_zoo.registry import Registry, fields, get_registry, override
from convae_zoo.registry.expression_terms import Expression, Term
from convae_zoo.registry.expressions import (
    find_spec,
    parse_entry,
    parse_expression,
    term_config,
    with_fields,
)
from convae_zoo.registry.specs import LossSpec

NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True)
FIELDS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
PLAIN = (
    st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
    | st.text(max_size=12)
)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
TERMS = st.builds(
    Term,
    name=NAMES,
    config=st.dictionaries(FIELDS, VALUES, max_size=3),
    weight=st.floats(allow_nan=False, allow_infinity=False),
)
EXPRESSIONS = st.lists(TERMS, min_size=1, max_size=4).map(lambda terms: Expression(tuple(terms)))


def _terms(text):
    terms = parse_expression(text, "loss").terms
    return [(term.weight, term.name, dict(term.config)) for term in terms]


@given(expression=EXPRESSIONS)
def test_an_expression_survives_writing_and_parsing(expression):
    read = parse_expression(str(expression), "loss")
    assert read == expression
    assert [[*map(type, t.config.values())] for t in read.terms] == [
        [*map(type, t.config.values())] for t in expression.terms
    ]


@settings(max_examples=300)
@given(text=st.text(max_size=30) | st.text("l1a_=,:*+-.()[]'\"\\ 05eE\n", max_size=30))
@example("l1(a='\\N{DIGIT ONE}')")
@example("l1(a='\udc80')")
@example("l1 if l1 else l1")
@example("l1(*l1, **l1)")
@example("l1(a:=1)")
def test_any_text_is_parsed_or_refused_in_one_line(text):
    try:
        read = parse_expression(text, "loss")
    except ConfigError as error:
        message = str(error)
    else:
        message = ""
        assert parse_expression(str(read), "loss") == read
    assert "\n" not in message


def test_a_sum_has_weights_names_and_configs():
    assert _terms("mse") == [(1.0, "mse", {})]
    assert _terms("0.8*l1 + 0.2 * ssim(window=7)") == [
        (0.8, "l1", {}),
        (0.2, "ssim", {"window": 7}),
    ]
    assert _terms("mse+l1e+2e-1*x") == [(1.0, "mse", {}), (1.0, "l1e", {}), (0.2, "x", {})]
    assert _terms("-.5*a-b\n + 2.*3d()") == [(-0.5, "a-b", {}), (2.0, "3d", {})]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("-1e-3", -0.001),
        ("+.5", 0.5),
        ("5:55", (5, 55)),
        ("-1.5 : 2", (-1.5, 2)),
        ("(5, 55)", (5, 55)),
        ("[5, [relu, 'a b'],]", (5, ("relu", "a b"))),
        ("()", ()),
        ("(5,)", (5,)),
        ("true", True),
        ("False", False),
        ("None", None),
        ("relu", "relu"),
        ("leaky-relu", "leaky-relu"),
        ("lambda", "lambda"),
        ("'true'", "true"),
        (r'"it\'s \\ \"so\"\n\u00e9"', 'it\'s \\ "so"\né'),
        ("'/data/my images (2)'", "/data/my images (2)"),
    ],
)
def test_values_are_numbers_words_strings_constants_tuples_and_ranges(text, value):
    read = parse_entry(f"gaussian(x={text})", "corruption").config["x"]
    assert read == value
    assert type(read) is type(value)


def test_a_range_equals_its_tuple():
    assert parse_entry("gaussian(sigma=5:55)", "corruption") == parse_entry(
        " gaussian( sigma = (5, 55) ) ", "corruption"
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "is an empty string; expected a name or a sum such as"),
        (" ", "is an empty string"),
        ("l1 +", "at the end of 'l1 +': expected a name or a sum such as"),
        ("*l1", "at character 1 of"),
        ("l1 l1", "at character 4 of"),
        ("x*l1", "at character 1 of 'x*l1': expected a number"),
        ("0.5 l1", "at character 2 of"),
        ("l1 - mse", "at character 6 of 'l1 - mse': terms are joined by '+'"),
        ("1*2*l1", "at character 1 of"),
        ("1e999*l1", "at character 1 of '1e999*l1': the number is too large"),
        ("0.5*(l1 + mse)", "at character 6 of"),
        ("l1(5)", "at character 4 of 'l1(5)': name the field, as in 'window=7'"),
        ("l1(*a)", "at character 4 of 'l1(*a)': name the field"),
        ("l1(**a)", "at character 4 of"),
        ("l1(3=3)", "at character 4 of 'l1(3=3)': expected FIELD=VALUE"),
        ("l1(a=1, a=2)", "at character 9 of 'l1(a=1, a=2)': field 'a' is given twice"),
        ("l1(a=1", "at character 3 of 'l1(a=1': '(' is never closed"),
        ("l1)", "at character 3 of 'l1)': ')' has no matching"),
        ("l1(a=(1]", "at character 8 of 'l1(a=(1]': ']' has no matching"),
        ("l1(a=1 2)", "at character 8 of"),
        ("l1(a=1:2:3)", "at character 6 of 'l1(a=1:2:3)': expected a number"),
        ("l1(a=b:c)", "at character 6 of 'l1(a=b:c)': expected a number"),
        ("l1(a=5-3)", "at character 6 of"),
        ("l1(a=f(b=1))", "at character 6 of"),
        ("l1(a={1})", "at character 6 of 'l1(a={1})': expected a number, a word, a string in quo"),
        ("l1(a='x)", "at character 6 of"),
        (r"l1(a='C:\d')", "at character 6 of"),
        ("l1(a='b' 'c')", "at character 6 of"),
        ("l1()()", "at character 1 of"),
        ("l1[0]", "at character 1 of"),
        ("(l1)", "at character 2 of"),
        ("l1, l1", "at character 1 of"),
        ("é", "at character 1 of"),
        ("\0", r"at character 1 of '\x00'"),
        (7, "a loss must be named by a string, got 7"),
    ],
)
def test_what_cannot_be_parsed_is_refused_in_one_line_with_the_place(text, place):
    with pytest.raises(ConfigError) as caught:
        parse_expression(text, "loss")
    assert place in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "l1(a=" + "[" * 5000,
        "l1(a=" + "(" * 21 + ")" * 21 + ")",
        "9" * 5000 + "*l1",
        f"l1(a={'9' * 5000})",
        f"l1(a=1{'0' * 400})",
        "-" * 9000 + "1*l1",
        f"l1(a={'-' * 9000}1)",
        "+".join(["l1"] * 3000),
        "l1(" + ",".join(f"a{i}=1" for i in range(3000)) + ")",
        "x" * 20_000,
    ],
)
def test_huge_input_is_refused_in_a_short_line(text):
    with pytest.raises(ConfigError) as caught:
        parse_expression(text, "loss")
    assert len(str(caught.value)) < 250


def test_a_sum_or_a_weight_is_refused_in_place_of_one_entry():
    assert parse_entry("image-folder(val_fraction=0.2)", "dataset").config == {"val_fraction": 0.2}
    for text in ("photos + photos", "0.5*photos"):
        with pytest.raises(ConfigError, match="must be one entry, without a sum or a weight"):
            parse_entry(text, "dataset")
    with pytest.raises(
        ConfigError, match=r"expected a name, optionally with config values: NAME\("
    ):
        parse_entry("photos photos", "dataset")


def test_fields_are_added_to_an_entry():
    text = with_fields("image-folder(image_size=8)", "dataset", {"path": "a b", "shape": [1, None]})
    assert text == "image-folder(image_size=8, path='a b', shape=(1, None))"
    assert with_fields("photos", "dataset", {}) == "photos"
    for values, message in [
        ({"image_size": 9}, "field 'image_size' of dataset 'image-folder' is given twice"),
        ({"a b": 9}, "'a b' is not a valid field name"),
        ({"path": {"a": 1}}, "must be a finite number, a string, true, false, None or a list"),
        ({"path": float("nan")}, "must be a finite number"),
    ]:
        with pytest.raises(ConfigError, match=message):
            with_fields("image-folder(image_size=8)", "dataset", values)


@attrs.frozen(kw_only=True)
class WaveConfig:
    low: float = fields.number(1.0)
    high: float = fields.number(2.0)
    shape: str = fields.choice("sine", ("sine", "square"))

    def __attrs_post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low must be at most high")


@pytest.fixture
def _waves():
    installed = get_registry()
    losses = {"wave": LossSpec(name="wave", factory=dict, config=WaveConfig)}
    with override(Registry({**installed.entries, "loss": losses}, installed.plugins)):
        yield


def _config(text, more=None):
    term = parse_expression(text, "loss").terms[-1]
    return term_config(term, find_spec(term, "loss"), more)


@pytest.mark.usefixtures("_waves")
def test_a_config_has_the_values_of_the_term_and_the_further_ones():
    assert _config("wave(low=5, high=6)") == WaveConfig(low=5, high=6)
    assert _config("wave(low=5)", {"low": 5, "high": 9}) == WaveConfig(low=5, high=9)


@pytest.mark.usefixtures("_waves")
@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (
            "wave + waves",
            UnknownNameError,
            "unknown loss 'waves'; did you mean 'wave'? (character 8 of 'wave + waves')",
        ),
        (
            "wave(hi=1, lo=2)",
            UnknownNameError,
            (
                "unknown field of loss 'wave': 'hi'; did you mean 'high'? "
                "(character 6 of 'wave(hi=1, lo=2)')"
            ),
        ),
        (
            "2*wave(low=0, high=x)",
            ConfigError,
            "loss 'wave': high must be a number, got 'x' (character 15 of '2*wave(low=0, high=x)')",
        ),
        (
            "wave(low=2, high=1)",
            ConfigError,
            "loss 'wave': low must be at most high (character 1 of 'wave(low=2, high=1)')",
        ),
    ],
)
def test_a_wrong_name_field_or_value_is_reported_with_its_place(text, kind, message):
    with pytest.raises(kind) as caught:
        _config(text)
    assert str(caught.value) == message


@pytest.mark.usefixtures("_waves")
def test_a_value_already_set_elsewhere_is_refused():
    with pytest.raises(ConfigError, match=r"low of 'wave' is already set to 4 \(character 6 of"):
        _config("wave(low=5)", {"low": 4})


def test_the_error_of_a_bare_name_has_no_place():
    with pytest.raises(UnknownNameError, match=r"^unknown loss 'ms'; known?|did you mean [^(]*$"):
        find_spec(parse_entry("ms", "loss"), "loss")

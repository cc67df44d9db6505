"""Valid configs, drawn by hypothesis from the domains of an entry's fields."""

import functools
import operator
from collections.abc import Callable, Iterator
from typing import Any, cast

import attrs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from convae_zoo.errors import ZooError, reason
from convae_zoo.models.plan import plan_model
from convae_zoo.registry import fields, get_registry
from convae_zoo.registry.factories import make_config
from convae_zoo.registry.specs import ModelSpec
from convae_zoo.testing.entry import Case, Entry
from convae_zoo.testing.result import ConformanceFailure, Skip

SMALL = 8
"""Sizes at which a network rarely has dead layers by chance."""

STEPS = 6
"""How many steps above its minimum a whole number is drawn."""

CEILING = 64
"""Whole numbers are drawn up to this, or to three steps above their minimum."""


def config_fields(entry: Entry) -> "list[attrs.Attribute[Any]]":
    """List the fields of an entry's config; of a model, those of both parts."""
    spec = entry.spec
    if not isinstance(spec, ModelSpec):
        return list(attrs.fields(entry.built.config))
    parts = [get_registry().get(k, getattr(spec, k)) for k in ("encoder", "decoder")]
    return list({f.name: f for p in parts for f in attrs.fields(cast("Any", p).config)}.values())


def legal(entry: Entry, values: dict[str, Any]) -> bool:
    """Return whether the entry accepts these values."""
    try:
        if isinstance(entry.spec, ModelSpec):
            plan_model(entry.name, **values)
        else:
            make_config(entry.built, values)
    except ZooError:
        return False
    return True


def small_case(entry: Entry) -> Case:
    """Return a small case, but not so small that layers are dead by chance."""
    values = {
        f.name: value
        for f in config_fields(entry)
        if isinstance(domain := fields.domain_of(f), fields.Integers)
        and (value := smallest(domain, SMALL)) < cast("int", f.default)
    }
    while not legal(entry, values):
        values.popitem()
    return Case(entry, values)


def cases(entry: Entry) -> "st.SearchStrategy[Case]":
    """Draw cases over all fields that declare a domain; of a model, its own config alone."""
    if isinstance(entry.spec, ModelSpec):
        return st.just(small_case(entry))
    drawn = {
        f.name: _values(domain, f.default)
        for f in config_fields(entry)
        if (domain := fields.domain_of(f)) is not None
    }
    return st.fixed_dictionaries(drawn).map(lambda v: Case(entry, v if legal(entry, v) else {}))


def sized_cases(entry: Entry) -> "st.SearchStrategy[Case] | None":
    """Draw small cases of every image size; None where the size is not a field."""
    small = small_case(entry)
    sizes = {f.name: _values(d, f.default, STEPS + 4) for f, d in _size_fields(small)}
    if not sizes:
        return None
    return st.fixed_dictionaries(sizes).map(
        lambda v: Case(entry, {**small.values, **v} if legal(entry, {**small.values, **v}) else {})
    )


def _size_fields(case: Case) -> "Iterator[tuple[attrs.Attribute[Any], fields.Integers]]":
    """Find the whole numbers that an image's height or width depends on."""
    image = "output_shape" if case.entry.kind == "decoder" else "input_shape"
    for f in config_fields(case.entry):
        domain = fields.domain_of(f)
        if not isinstance(domain, fields.Integers):
            continue
        here = {**case.values, f.name: case.values.get(f.name, f.default)}
        more = {**here, f.name: here[f.name] + domain.multiple_of}
        if legal(case.entry, more):
            shapes = (getattr(Case(case.entry, v), image)[-2:] for v in (here, more))
            if operator.ne(*shapes):
                yield f, domain


def _values(domain: fields.Domain, default: Any, steps: int = STEPS) -> "st.SearchStrategy[Any]":
    match domain:
        case fields.Integers(multiple_of=step):
            first = smallest(domain)
            top = max(CEILING, first + 3 * step)
            count = min(steps, (top - first) // step)
            return st.integers(0, count).map(lambda k: first + k * step)
        case fields.Numbers(minimum, maximum):
            near = (default, default / 2, default * 2)
            return st.sampled_from([v for v in near if minimum <= v <= maximum])
        case fields.Choices(options):
            return st.sampled_from(options)


def smallest(domain: fields.Integers, at_least: int | None = None) -> int:
    """Return the smallest whole number of a domain, or the smallest from `at_least` on."""
    bound = domain.minimum if at_least is None else max(domain.minimum, at_least)
    return -(-bound // domain.multiple_of) * domain.multiple_of


Test = Callable[[Any], None]


def at_small(test: Test) -> Callable[[Entry], None]:
    """Turn a test of cases into a property that holds at the small case."""

    @functools.wraps(test)
    def check(entry: Entry) -> None:
        guarded(test, small_case(entry))

    return check


def at_drawn(test: Test) -> Callable[[Entry], None]:
    """Turn a test of cases into a property that holds at every drawn case."""

    @functools.wraps(test)
    def check(entry: Entry) -> None:
        for_examples(cases(entry), test, entry.examples)

    return check


def for_examples(strategy: "st.SearchStrategy[Any]", test: Test, examples: int) -> None:
    """Run a test on examples; the error raised is that of the smallest failing one."""
    quiet = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    quiet(given(strategy)(lambda example: guarded(test, example)))()


def guarded(test: Test, case: Any) -> None:
    """Run a test on a case; whatever the plugin's code raises becomes a failure at that case."""
    try:
        test(case)
    except (ConformanceFailure, Skip):
        raise
    except Exception as error:
        raise case.failure(f"it raised {reason(error)}") from error

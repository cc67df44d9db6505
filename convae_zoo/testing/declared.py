"""Properties of what an entry declares: configs, weights, numbers, and that listing is light."""

import functools
import json
import os
import subprocess
import sys
from typing import Any, cast

import attrs

from convae_zoo.errors import UsageError
from convae_zoo.evaluation.cost import count_flops, count_parameters
from convae_zoo.models.plan import Plan, plan_compose, plan_model
from convae_zoo.registry import fields
from convae_zoo.registry.discovery import ALLOWED
from convae_zoo.registry.factories import config_values, make_config
from convae_zoo.registry.specs import ModelSpec
from convae_zoo.testing.configs import at_drawn, smallest
from convae_zoo.testing.entry import Case, Entry
from convae_zoo.testing.result import ConformanceFailure, Skip

_LIST = """
import sys
from convae_zoo.registry import get_registry
found = any(s.provenance.plugin == {plugin!r} for e in get_registry().entries.values()
            for s in e.values())
print(found, "torch" in sys.modules)
"""


@at_drawn
def config_json(case: Case) -> None:
    """A config survives a round trip through JSON."""
    if isinstance(case.config, Plan):
        there = _through_json(case.config.describe())
        back: Any = plan_compose(
            there["encoder"]["name"],
            there["decoder"]["name"],
            there["encoder"]["config"],
            there["decoder"]["config"],
            value_range=there["value_range"],
            name=there["name"],
        )
    else:
        there = _through_json(config_values(case.config))
        back = make_config(case.entry.built, there)
    if back != case.config:
        raise case.failure(f"its config comes back from JSON as {back!r:.120}")


def _through_json(values: dict[str, Any]) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(json.dumps(values, allow_nan=False)))


def bad_config(entry: Entry) -> None:
    """A bad value is refused in one line that names its field, and an unknown field is refused."""
    case = Case(entry)
    _refused(case, "no_such_field", 1)
    if isinstance(entry.spec, ModelSpec):
        return
    for field in attrs.fields(entry.built.config):
        for value in _bad_values(fields.domain_of(field)):
            _refused(case, field.name, value)


def _bad_values(domain: fields.Domain | None) -> list[object]:
    wrong: list[object] = [object(), {"a": "mapping"}]
    match domain:
        case fields.Integers(minimum, multiple_of):
            first = smallest(domain)
            wrong += [minimum - 1, first - multiple_of, first + 0.5, True, "many", None]
            wrong += [first + 1] if multiple_of > 1 else []
        case fields.Numbers(minimum, maximum):
            wrong += [float("nan"), float("inf"), "many", None, True]
            wrong += [v for v in (minimum - 1, maximum + 1) if abs(v) < float("inf")]
        case fields.Choices():
            wrong += ["no such choice", None, -1]
    return wrong


def _refused(case: Case, field: str, value: object) -> None:
    shown = f"{field}={value!r:.40}"
    try:
        if isinstance(case.entry.spec, ModelSpec):
            plan_model(case.entry.name, **{field: value})
        else:
            make_config(case.entry.built, {field: value})
    except UsageError as error:
        if "\n" in str(error) or field not in str(error):
            raise case.failure(
                f"the error for {shown} must be one line that names {field}, got {str(error)!r}"
            ) from error
        return
    except Exception as error:
        raise case.failure(
            f"{shown} raises {type(error).__name__}; a check must raise ValueError"
        ) from error
    raise case.failure(
        f"{shown} is taken; give the field a check, as convae_zoo.registry.fields does"
    )


def listing(entry: Entry) -> None:
    """Listing the plugin's entries, in a fresh process, imports no torch."""
    found, torch_imported = _listed(entry.provenance.plugin)
    if not found:
        raise ConformanceFailure("another process does not find the plugin")
    if torch_imported:
        raise ConformanceFailure(
            "listing it imports torch; the registering module and the configs must not import it"
        )


@functools.cache
def _listed(plugin: str) -> tuple[bool, bool]:
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", _LIST.format(plugin=plugin)],
        env={**os.environ, "PYTHONPATH": path, ALLOWED: plugin},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise ConformanceFailure(f"listing it in another process fails: {''.join(last)}")
    found, torch_imported = done.stdout.split()[-2:]
    return found == "True", torch_imported == "True"


def numbers(entry: Entry) -> None:
    """The declared parameters and FLOPs of a model are those counted."""
    spec = entry.spec
    if not isinstance(spec, ModelSpec) or (spec.parameters, spec.flops) == (None, None):
        raise Skip("it declares neither parameters nor flops")
    case = Case(entry)
    model = case.build()
    counted = {"parameters": count_parameters(model)}
    if spec.flops is not None:
        counted["flops"] = count_flops(model, case.inputs(1))
    for name, count in counted.items():
        declared = getattr(spec, name)
        if declared is not None and declared != count:
            raise case.failure(f"it declares {declared:,} {name} but has {count:,}")

"""What users' code and scripts rely on: public names, their parameters, the commands' options.

After a change that is meant, write the list again with::

    .venv/bin/python tests/support/api_surface.py > tests/package/api_surface.txt
"""

import inspect
from collections.abc import Callable, Iterator

import click

import convae_zoo
from convae_zoo.cli import cli


def lines() -> list[str]:
    """Return a line for each public name, parameter, method, command, argument and option."""
    return sorted({*_python(), *_commands(cli, "convae-zoo")})


def _python() -> Iterator[str]:
    for name in convae_zoo.__all__:
        value = getattr(convae_zoo, name)
        yield name
        if inspect.ismodule(value):
            for member, function in inspect.getmembers(value, inspect.isfunction):
                if function.__module__ == value.__name__ and not member.startswith("_"):
                    yield from _callable(f"{name}.{member}", function)
        elif _has_signature(value):
            yield from _callable(name, value)
        if inspect.isclass(value):
            yield from _members(name, value)


def _has_signature(value: object) -> bool:
    """Say whether the zoo declares its parameters: not of errors, protocols, pluggy's marker."""
    if inspect.isclass(value):
        return not issubclass(value, Exception) and not getattr(value, "_is_protocol", False)
    return inspect.isfunction(value) or type(value).__module__.startswith("convae_zoo")


def _members(name: str, cls: type) -> Iterator[str]:
    for base in cls.__mro__:
        if not base.__module__.startswith("convae_zoo"):
            continue
        for member, value in vars(base).items():
            if member.startswith("_"):
                continue
            if isinstance(value, property):
                yield f"{name}.{member}"
            elif inspect.isfunction(value):
                yield from _callable(f"{name}.{member}", value)


def _callable(name: str, function: Callable[..., object]) -> Iterator[str]:
    """Yield the positional parameters in their order, then a line for each keyword."""
    parameters = inspect.signature(function).parameters.values()
    keywords = [p for p in parameters if p.kind in {p.KEYWORD_ONLY, p.VAR_KEYWORD}]
    positional = [p for p in parameters if p not in keywords and p.name != "self"]
    yield f"{name}({', '.join(map(_text, positional))})"
    yield from (f"{name}(*, {_text(p)})" for p in keywords)


def _text(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
    name, default = stars.get(parameter.kind, "") + parameter.name, parameter.default
    if default is parameter.empty:
        return name
    plain = default is None or isinstance(default, (bool, int, float, str))
    return f"{name}={default!r}" if plain else f"{name}=..."


def _commands(command: click.Command, path: str) -> Iterator[str]:
    yield path
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            yield f"{path} {parameter.human_readable_name}"
        else:
            yield from (f"{path} {option}" for option in parameter.opts + parameter.secondary_opts)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from _commands(command.get_command(context, name), f"{path} {name}")


if __name__ == "__main__":
    print("\n".join(lines()))

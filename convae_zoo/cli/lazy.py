"""Groups of commands, each of which is imported only when it is called."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

from convae_zoo.errors import unknown


class LazyGroup(click.Group):
    """A group of commands.

    Args:
        folder: the package whose module of a command's name defines it, as ``command``.
        summaries: the help line of each command.
        more: the arguments of `click.Group`.
    """

    def __init__(self, *, folder: str, summaries: Mapping[str, str], **more: Any) -> None:
        super().__init__(**more)
        self._folder, self._summaries = folder, summaries

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """List the names."""
        return sorted(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import a command."""
        if cmd_name not in self._summaries:
            return None
        module = importlib.import_module(f"{self._folder}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the names and their help lines, without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(self._summaries.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called.

        Raises:
            UnknownNameError: there is none of that name.
        """
        if args and args[0] not in self._summaries and not args[0].startswith("-"):
            raise unknown("command", args[0], self._summaries)
        return super().resolve_command(ctx, args)

"""A click group whose list of commands is text: nothing is imported before a command is called.

Importing every command to print its one-line help cost 1.1 s and 137 MB for `bwv --help` and for
each press of TAB. A test compares the texts with the commands' own docstrings.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem


class Lazy(NamedTuple):
    """Where a command is, as "module:attribute", and its help in one line."""

    where: str
    short_help: str


class LazyGroup(click.Group):
    """`lazy` holds the commands by name."""

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name].where.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, self.lazy[name].short_help) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [
            CompletionItem(name, help=self.lazy[name].short_help)
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
        # The options of the group itself; the group's own list would load every command.
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

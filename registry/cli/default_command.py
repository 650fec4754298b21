"""Command groups that are a command themselves: `route TEXT` beside `route report`."""

from __future__ import annotations

import click


class DefaultCommandGroup(click.Group):
    """A group that runs a command of its own unless its first argument names another.

    A first argument that is the name of a command of the group runs that; `--` before it makes it
    an argument of the group's own command.
    """

    def __init__(self, name: str, own: click.Command) -> None:
        """Make a group of a name around a command of that name."""
        super().__init__(name, help=own.help, short_help=own.short_help)
        own.name, own.context_class = name, _OwnContext
        self.own = own

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Leave all arguments to the command that they are for, but a request for help."""
        first = args[0] if args else None
        asks_for_help = first is not None and first in ctx.help_option_names
        if asks_for_help or first in self.commands or (ctx.resilient_parsing and first is None):
            return super().parse_args(ctx, args)
        return super().parse_args(ctx, [str(self.own.name), *args])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of the group that is named, or its own."""
        if args and args[0] == self.own.name:
            return self.own.name, self.own, args[1:]
        return super().resolve_command(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the usage of the group's own command."""
        return self.own.collect_usage_pieces(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of the group's own command, then the other commands."""
        self.own.format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


class _OwnContext(click.Context):
    """Context of a group's own command, which is called by the name of the group."""

    @property
    def command_path(self) -> str:
        """The words that the group is called by."""
        assert self.parent is not None
        return self.parent.command_path

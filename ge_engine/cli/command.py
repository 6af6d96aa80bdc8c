"""How a command explains itself: a screen of help, switches without types, examples in errors, old flags."""

from __future__ import annotations

import copy
import re
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ge_engine.cli.everyday import EVERYDAY
from ge_engine.cli.options import RENAMED, UNSET
from ge_engine.errors import ConfigError


class _Plain:
    """Whose switches have no type. It stands before one of typer's classes."""

    params: list[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for parameter in self.params:
            _without_type(parameter)

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc]
        _without_type(option)
        return option


class Command(_Plain, TyperCommand):
    """A command whose switches have no type, whose errors over a missing argument end in its first example,
    and which names the new flag where an old one is given.

    Where `EVERYDAY` lists its options, `--help` shows these alone and `--help-all` shows all; of others, both
    show all. Beside other commands it is told by the first clause of its help.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._everyday = EVERYDAY.get(self.name or "", ())
        self.help = _unwrapped(self.help or "")
        self._help_all: Any = None
        self.short_help = f"{re.split('[:;.]', self.help or '', maxsplit=1)[0]}."

    def get_params(self, ctx: Any) -> Any:
        """With `--help-all`, before `--help`."""
        *params, helping = super().get_params(ctx)
        return [*params, self._help_all_option(ctx), helping]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super(Command, self._in_short(ctx) if self._everyday else self).format_help(ctx, formatter)

    def format_whole_help(self, ctx: Any, formatter: Any) -> None:
        """The help with every option."""
        super().format_help(ctx, formatter)

    def _in_short(self, ctx: Any) -> Command:
        """The command with its everyday options alone."""
        named = {one.name: one for one in self.params}
        arguments = [one for one in self.params if one.param_type_name == "argument"]
        command = copy.copy(self)
        command._everyday, command._help_all = (), self._help_all_option(ctx)
        command.params = [*arguments, *(_in_short(named[name]) for name in self._everyday)]
        return command

    def _help_all_option(self, ctx: Any) -> Any:
        """Made of the option `--help`, of whose kind it is."""
        if self._help_all is None:
            option = copy.copy(self.get_help_option(ctx))
            option.name, option.opts, option.callback = "help_all", ["--help-all"], _print_whole_help
            option.help = "Show all options and exit."
            option.hidden = not self._everyday
            self._help_all = option
        return self._help_all

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = error.message or f"For example: {first_example(self.help or '')}"
            raise
        except Exception as error:
            old = getattr(error, "option_name", "")
            new = RENAMED.get(old, "")
            if not any(new in parameter.opts for parameter in self.params):
                raise
            raise ConfigError(f"The flag {old} is now called {new}.", f"Write {new}.") from None


class Group(_Plain, TyperGroup):
    """A group of commands whose switches have no type."""


def _unwrapped(text: str) -> str:
    """Each paragraph as one line, which a terminal breaks where its own width ends."""
    return "\n\n".join(re.sub(r"\s*\n\s*", " ", part) for part in re.split(r"\n\s*\n", text))


def first_example(text: str) -> str:
    """The first line of a help text that shows a command, "" without one."""
    lines = (line.strip().removeprefix("Example: ") for line in text.splitlines())
    return next((line for line in lines if line.startswith("ge ")), "")


def _print_whole_help(ctx: Any, _: Any, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        formatter = ctx.make_formatter()
        ctx.command.format_whole_help(ctx, formatter)
        typer.echo(formatter.getvalue().rstrip("\n"))
        ctx.exit()


def _in_short(option: Any) -> Any:
    """An option with its first name, and without ranges, forms of its value, defaults of other presets, and
    one of 0, which stands for something else, or of none."""
    short = copy.copy(option)
    others = [name for name in option.opts if not name.startswith("--")]
    short.opts = [*[name for name in option.opts if name.startswith("--")][:1], *others]
    short.metavar = (option.metavar or "").partition("[")[0] or option.metavar
    text, more, _ = (option.help or "").partition(";")
    short.help = f"{text}." if more else text
    if isinstance(option.show_default, str):
        default = option.show_default.partition(";")[0]
        short.show_default = False if default in ("0", UNSET) else default
    short.rich_help_panel = None
    return short


def _without_type(parameter: Any) -> None:
    if getattr(parameter, "is_flag", False) and parameter.metavar is None:
        parameter.metavar = ""

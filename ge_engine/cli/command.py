"""How a command explains itself: switches without types, examples in errors, old flags."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

from ge_engine.cli.options import RENAMED
from ge_engine.errors import ConfigError


class Command(TyperCommand):
    """A command whose switches have no type, whose errors over a missing argument end in its first example,
    and which names the new flag where an old one is given."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for parameter in self.params:
            _without_type(parameter)

    def get_help_option(self, ctx: Any) -> Any:
        option = super().get_help_option(ctx)
        _without_type(option)
        return option

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


def first_example(text: str) -> str:
    """The first line of a help text that shows a command, "" without one."""
    lines = (line.strip().removeprefix("Example: ") for line in text.splitlines())
    return next((line for line in lines if line.startswith("ge ")), "")


def _without_type(parameter: Any) -> None:
    if getattr(parameter, "is_flag", False) and parameter.metavar is None:
        parameter.metavar = ""

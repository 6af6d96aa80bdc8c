"""How a command explains itself: defaults and ranges of settings in its help, an example in its errors."""

from __future__ import annotations

import dataclasses
from typing import Any

import typer
from typer.core import TyperCommand

from ge_engine.cli.options import SETTINGS
from ge_engine.config import PRESETS, Recipe, RunConfig, range_of

UNSET = "none"


class Command(TyperCommand):
    """A command whose options tell default and range, whose switches have no type, and whose errors over
    a missing argument end in its first example."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        sets_a_run = any(parameter.name == "preset" for parameter in self.params)
        for parameter in self.params:
            setting = SETTINGS.get(parameter.name or "")
            if sets_a_run and setting is not None:
                _explain(parameter, setting or str(parameter.name))
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


def first_example(text: str) -> str:
    """The first line of a help text that shows a command, "" without one."""
    lines = (line.strip().removeprefix("Example: ") for line in text.splitlines())
    return next((line for line in lines if line.startswith("ge ")), "")


def default_of(setting: str) -> str:
    """A setting's default as a reader sees it, also that of each preset which has another."""
    values = {name: _value(setting, preset) for name, preset in PRESETS.items()}
    first, *others = values.items()
    told = [f"{name}: {value}" for name, value in others if value != first[1]]
    return "; ".join([first[1], *told])


def _explain(parameter: Any, setting: str) -> None:
    parameter.show_default = default_of(setting)
    limits = range_of(setting)
    if limits and "0:" not in parameter.help and "0 =" not in parameter.help:
        parameter.help = f"{parameter.help.removesuffix('.')}; {limits}."


def _value(setting: str, preset: Any) -> str:
    where, _, leaf = setting.rpartition(".")
    given = preset.get(where, {}) if where else preset
    cls = Recipe if where else RunConfig
    own = next(field.default for field in dataclasses.fields(cls) if field.name == leaf)
    return _shown(given.get(leaf, own))


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or UNSET
    return f"{value:g}" if isinstance(value, float) else str(value) or UNSET


def _without_type(parameter: Any) -> None:
    if getattr(parameter, "is_flag", False) and parameter.metavar is None:
        parameter.metavar = ""

"""The flags of a run's settings, made from `ge_engine.config`, and those that commands share besides."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_origin

import typer

from ge_engine.cli.completion import completer_of, individuals, presets
from ge_engine.config import (
    GROUPS,
    LANGUAGE,
    MODEL,
    PRESETS,
    RUN,
    SEARCH,
    Field,
    evaluator_settings,
    settings,
)
from ge_engine.config.per_model import split_weight
from ge_engine.errors import ConfigError
from ge_engine.places import split_place

UNSET = "none"
EXAMPLE_URL = "For example --llm-url http://localhost:8000/v1."
F = TypeVar("F", bound=Callable[..., None])


def _option(panel: str, text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, **more)


def individual(text: str) -> Any:
    """The argument RUN:ID."""
    return typer.Argument(metavar="RUN:ID", help=text, autocompletion=individuals)


SeedFile = Annotated[Path, typer.Argument(metavar="FILE", help="The seed model: a PyTorch file to evolve.")]
PluginModules = Annotated[
    list[str] | None,
    _option(RUN, "Also load this importable module as a plugin (repeatable).", "--plugin", metavar="MODULE"),
]
BlockedPlugins = Annotated[
    list[str] | None, _option(RUN, "Leave this plugin out (repeatable).", "--no-plugin", metavar="NAME")
]
AllowChanges = Annotated[
    bool,
    _option(RUN, "Resume with other versions or checks than the run was made with.", "--allow-changes"),
]
Preset = Annotated[
    str,
    _option(SEARCH, f"Sets the defaults: {' or '.join(PRESETS)}.", "--preset", autocompletion=presets),
]
ConfigFile = Annotated[
    Path | None, _option(SEARCH, "Settings in TOML; flags win over it.", "--config", metavar="FILE")
]
Command = Annotated[
    str | None,
    _option(MODEL, "Score by a program: python train.py {path}.", "--command", metavar="CMD"),
]

SHORTCUTS: Mapping[str, Any] = {
    "command": Command,
    "llm_url": Annotated[
        list[str] | None,
        _option(LANGUAGE, "Server for openai:MODEL (repeatable).", "--llm-url", metavar="URL"),
    ],
    "no_eot": Annotated[bool, _option(SEARCH, "Without Evolution of Thought.", "--no-eot")],
    "no_personas": Annotated[bool, _option(SEARCH, "Without personas.", "--no-personas")],
    "no_mating": Annotated[bool, _option(SEARCH, "Without mating.", "--no-mating")],
}
"""Flags that say a setting in other words, by the name of their parameter."""
WITHOUT: Mapping[str, Mapping[str, Any]] = {
    "no_eot": {"p_eot": 0.0},
    "no_personas": {"personas": ["none"]},
    "no_mating": {"p_mating": 0.0},
}
RENAMED = {
    "--max-tokens": "--token-budget",
    "--max-cost": "--cost-budget",
    "--seed": "--random-seed",
    "--constraint": "--constraints",
    "--tracker": "--trackers",
}
"""Flags of version 0.1.0."""
ALIASES: Mapping[str, Sequence[str]] = {"objectives": ("--objective",), "metrics": ("--metric",)}
"""Other names of a setting's flag: one at a time is the usual way."""
FORMER: Mapping[str, str] = {"dead-blocks": "unused-blocks", "no-dead-blocks": "no-unused-blocks"}
"""Former names of flags, which are taken and not shown."""


def current_flag(name: str) -> str:
    """The name of a flag, without dashes, by which it is shown."""
    return FORMER.get(name, name)


def channels_of(asked: str) -> int:
    """The setting of `--channels`. Raises ConfigError on anything but auto and whole numbers."""
    if asked == "auto":
        return 0
    if not asked.isascii() or not asked.isdigit() or int(asked) == 0:
        raise ConfigError(
            f"--channels wants auto, 1 or 3 and got {asked!r}.", "For example --channels 1 for a grey model."
        )
    return int(asked)


def seconds_of(asked: str) -> float:
    """The setting of `--timeout`. Raises ConfigError on anything but seconds, and minutes and hours as 5m and
    2h."""
    number, unit = (asked[:-1], asked[-1:]) if asked[-1:] in UNITS else (asked, "s")
    try:
        return float(number) * UNITS[unit]
    except ValueError:
        raise ConfigError(
            f"--timeout wants seconds, or minutes as 5m or hours as 2h, and got {asked!r}.",
            "For example --timeout 5m.",
        ) from None


UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
READERS: Mapping[str, Callable[[str], Any]] = {"training.channels": channels_of, "timeout": seconds_of}
"""Settings whose flag takes other words than TOML does."""


def settings_as_flags(*names: str) -> Callable[[F], F]:
    """Gives a command that takes `**flags` a flag for each setting, or for those of `names` alone, after its
    positional parameters and in the order of their panels."""

    def decorate(command: F) -> F:
        signature = inspect.signature(command, eval_str=True)
        own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        flags = [one for one in _flags() if not names or one.name in names]
        ordered = sorted([*own, *flags], key=lambda one: (one.kind is one.KEYWORD_ONLY, _panel(one)))
        keyword_only = [one.replace(kind=one.KEYWORD_ONLY) for one in ordered]
        vars(command)["__signature__"] = signature.replace(parameters=keyword_only)
        return command

    return decorate


def _flags() -> Iterator[inspect.Parameter]:
    for one in settings().values():
        if one.about.flag:
            yield _parameter(one.key, Annotated[_type_of(one), explained(one)], None)
    for name, annotation in SHORTCUTS.items():
        yield _parameter(name, annotation, False if name in WITHOUT else None)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation
    )


def _panel(parameter: inspect.Parameter) -> int:
    """The place of a parameter's panel; what is in none comes first."""
    about = getattr(parameter.annotation, "__metadata__", (None,))[0]
    panel = getattr(about, "rich_help_panel", None)
    return GROUPS.index(panel) if panel in GROUPS else -1


def _type_of(one: Field) -> Any:
    if one.name in READERS:
        return str | None
    return (list[str] if get_origin(one.kind) is tuple else one.kind) | None


def plain(name: str) -> Any:
    """The flag of a setting without default and range, for a command whose default is another."""
    one = settings()[name]
    return _option(one.about.group, one.about.help, one.flag, **_value_of(one))


def explained(one: Field) -> Any:
    """The flag of a setting, whose help tells default and range."""
    text, limits = one.about.help, one.limits
    if limits and "0:" not in text and "0 =" not in text:
        text = f"{text.removesuffix('.')}; {limits}."
    flag = f"{one.flag}/--no-{one.flag.removeprefix('--')}" if one.kind is bool else one.flag
    names = (flag, *ALIASES.get(one.name, ()))
    return _option(one.about.group, text, *names, show_default=default_of(one), **_value_of(one))


def _value_of(one: Field) -> Mapping[str, Any]:
    """What stands for a setting's value in help, and what completes it."""
    return {"metavar": one.about.metavar, "autocompletion": completer_of(one)}


def default_of(one: Field) -> str:
    """A setting's default as a reader sees it, also that of each preset which has another."""
    first, *others = ((preset, _shown(one.of(values))) for preset, values in PRESETS.items())
    told = [f"{preset}: {value}" for preset, value in others if value != first[1]]
    return "; ".join([first[1], *told])


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or UNSET
    return f"{value:g}" if isinstance(value, float) else str(value) or UNSET


def chosen_settings(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a command's flags choose, nested as in TOML.

    Raises:
        ConfigError: a value that means nothing.
    """
    chosen: dict[str, Any] = {}
    for name, one in settings().items():
        value = flags.get(one.key)
        if value is not None and value != []:
            table, _, key = name.rpartition(".")
            (chosen.setdefault(table, {}) if table else chosen)[key] = _read(one, value)
    for name, meant in WITHOUT.items():
        chosen |= meant if flags.get(name) else {}
    chosen |= evaluator_of(chosen.pop("evaluator", None), flags.get("command"))
    if urls := flags.get("llm_url"):
        chosen["llm"] = _at(urls, chosen.get("llm", []))
    return chosen


def _at(urls: Sequence[str], models: Sequence[str]) -> list[str]:
    """The language models, those without a place at the servers of --llm-url.

    Raises:
        ConfigError: no address, or no model that wants one.
    """
    placed = [_with_urls(spec, urls, len(models)) for spec in models]
    if placed == list(models):
        raise ConfigError("--llm-url is for a model of --llm openai:NAME, and none is given.", EXAMPLE_URL)
    return placed


def evaluator_of(evaluator: str | None, command: str | None) -> dict[str, str]:
    """The settings that --evaluator or --command choose, none for neither."""
    if command:
        return {"evaluator": "command", "evaluator_argument": command}
    return evaluator_settings(evaluator) if evaluator is not None else {}


def _read(one: Field, value: Any) -> Any:
    if one.name in READERS:
        return READERS[one.name](value)
    if isinstance(value, list) and one.about.metavar == "NAME":
        return [name.strip() for several in value for name in several.split(",")]
    return value


def _with_urls(spec: str, urls: Sequence[str], models: int) -> str:
    """A language model with the addresses of its servers, before its weight where it is one of several."""
    if any(not url.startswith(("http://", "https://")) for url in urls):
        raise ConfigError("--llm-url wants an address that begins with http:// or https://.", EXAMPLE_URL)
    if not spec.startswith("openai:") or split_place(spec)[1]:
        return spec
    model, weight = split_weight(spec) if models > 1 else (spec, "")
    return f"{model}@{','.join(urls)}" + (f":{weight}" if weight else "")

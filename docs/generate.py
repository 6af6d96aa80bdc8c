"""Pages that are made from the code: mkdocs calls `on_page_markdown` for every page.

A line `[commands]` becomes the commands of `ge` with their options, `[settings]` the fields of the run's
configuration with their defaults, `[events]` the table of events.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import typer
from pygments.formatters import HtmlFormatter

import ge_engine.events
from ge_engine.cli.app import app
from ge_engine.config import PRESETS, Recipe, RunConfig


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the generated parts where their markers stand."""
    for marker, make in MARKERS.items():
        line = f"\n[{marker}]\n"
        if line in markdown:
            markdown = markdown.replace(line, "\n" + "\n".join(make()) + "\n")
    return markdown


def on_post_build(config: Any, **_: Any) -> None:
    """The colours of code, light and dark, as a style sheet beside the pages."""
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs("[data-bs-theme=dark] .highlight")
    Path(config["site_dir"], "pygments.css").write_text(f"{light}\n{dark}\n", "utf-8")


def commands() -> Iterator[str]:
    """Every command as a section: what it does, its arguments and its options."""
    root: Any = typer.main.get_command(app)
    yield from _described("ge", root.commands, 2)


def _described(path: str, group: dict[str, Any], level: int) -> Iterator[str]:
    for name, command in group.items():
        yield f"{'#' * level} {path} {name}\n"
        yield _text(command.help or "") + "\n"
        if hasattr(command, "commands"):
            yield from _described(f"{path} {name}", command.commands, level + 1)
            continue
        yield "| option | what it does |\n| --- | --- |"
        for parameter in command.params:
            if parameter.name != "help":
                yield f"| {_spelling(parameter)} | {_escaped(getattr(parameter, 'help', '') or '')} |"
        yield ""


def _spelling(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_escaped(parameter.metavar or parameter.name.upper())}`"
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    metavar = parameter.metavar or parameter.name.upper()
    return names if parameter.is_flag else f"{names} `{_escaped(metavar)}`"


def _text(help_text: str) -> str:
    """Help as paragraphs; lines that show a command become code."""
    lines = []
    for line in help_text.replace("\b", "").splitlines():
        shown = line.strip().removeprefix("Example: ")
        lines.append(f"`{shown}`\n" if shown.startswith("ge ") else line.strip())
    return "\n".join(lines)


def settings() -> Iterator[str]:
    """Fields, types and defaults of RunConfig and Recipe, and what the presets change."""
    for cls, prefix in ((RunConfig, ""), (Recipe, "recipe.")):
        yield f"\n### {cls.__name__}\n\n{inspect.getdoc(cls)}\n"
        yield "| setting | type | default | " + " | ".join(PRESETS) + " |"
        yield "| --- | --- | --- |" + " --- |" * len(PRESETS)
        hints = get_type_hints(cls)
        for field in dataclasses.fields(cls):
            if field.name != "recipe":
                kind = getattr(hints[field.name], "__name__", "")
                shown = kind if kind in ("int", "float", "str", "bool") else str(hints[field.name])
                row = [f"`{prefix}{field.name}`", f"`{shown}`", f"`{field.default!r}`"]
                yield "| " + " | ".join([*row, *_presets(prefix, field.name)]) + " |"


def _presets(prefix: str, name: str) -> Iterator[str]:
    for preset in PRESETS.values():
        values = preset.get("recipe", {}) if prefix else preset
        yield f"`{values[name]!r}`" if name in values else ""


def events() -> Iterator[str]:
    """The table in the docstring of `ge_engine.events`."""
    yield "```text"
    yield (ge_engine.events.__doc__ or "").partition("\n\n")[2].rstrip()
    yield "```"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


MARKERS: dict[str, Callable[[], Iterator[str]]] = {
    "commands": commands,
    "settings": settings,
    "events": events,
}

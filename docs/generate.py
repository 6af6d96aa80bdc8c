"""Parts of the reference that are made from the code: `python docs/generate.py` writes them into its pages.

A part stands between a line `<!-- made: commands -->` and `<!-- made -->`: the commands of `ge` with their
options, the `settings` of a run, the table of `events`, or names of a module (of all its own where none is
given), as in `<!-- made: ge_engine.contracts Operator Context -->`. A test holds that the pages are as this
file makes them. mkdocs calls `on_post_build`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

sys.path.insert(0, str(Path(__file__).parent))
import api

import ge_engine.events
from ge_engine.cli.app import app
from ge_engine.config import GROUPS, PRESETS, Field, Island, fields_of
from ge_engine.config import settings as every_setting

REFERENCE = Path(__file__).parent / "reference"
PART = re.compile(r"^<!-- made: ([^\n]+?) -->\n.*?^<!-- made -->$", re.MULTILINE | re.DOTALL)


def main() -> None:
    for page in sorted(REFERENCE.glob("*.md")):
        page.write_text(made(page.read_text("utf-8")), "utf-8", newline="\n")


def made(page: str) -> str:
    """The text of a page with its parts made anew."""
    return PART.sub(lambda found: f"<!-- made: {found[1]} -->\n\n{_part(found[1])}\n<!-- made -->", page)


def _part(named: str) -> str:
    if named in PARTS:
        return "\n".join(PARTS[named]())
    module, *names = named.split()
    return "\n".join(api.described(module, names))


def on_post_build(config: Any, **_: Any) -> None:
    """The colours of code, light and dark, as a style sheet beside the pages."""
    from pygments.formatters import HtmlFormatter

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
    """Every setting by group: its flag, type, default, what the presets change, help and range."""
    known = every_setting().values()
    tables = {group: [one for one in known if one.about.group == group] for group in GROUPS}
    tables["Islands"] = list(fields_of(Island, "island.").values())
    for group, fields in tables.items():
        yield f"\n### {group}\n"
        yield "| setting | flag | type | default | " + " | ".join(PRESETS) + " | what it is |"
        yield "| --- | --- | --- | --- |" + " --- |" * len(PRESETS) + " --- |"
        yield from map(_row, fields)


def _row(one: Field) -> str:
    presets = [one.of(values) for values in PRESETS.values()]
    cells = [
        f"`{one.name}`",
        f"`{one.flag}`" if one.about.flag else "",
        f"`{one.kind.__name__ if one.kind in (int, float, str, bool) else one.kind}`",
        f"`{one.default!r}`",
        *("" if value == one.default else f"`{value!r}`" for value in presets),
        _escaped(" ".join(filter(None, (one.about.help, _range(one), one.about.more)))),
    ]
    return "| " + " | ".join(cells) + " |"


def _range(one: Field) -> str:
    return f"It {one.about.range.text}." if one.about.range else ""


def events() -> Iterator[str]:
    """The table in the docstring of `ge_engine.events`."""
    yield "```text"
    yield (ge_engine.events.__doc__ or "").partition("\n\n")[2].rstrip()
    yield "```"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


PARTS: dict[str, Callable[[], Iterator[str]]] = {"commands": commands, "settings": settings, "events": events}


if __name__ == "__main__":
    main()

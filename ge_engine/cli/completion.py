"""What the shell completes: values of options, and individuals as RUN:ID."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout

import typer

from ge_engine import api
from ge_engine.config import PRESETS, Field
from ge_engine.runs.references import references_from

Completer = Callable[[typer.Context, str], list[str]]
HOOKS: Mapping[str, str] = {
    "task": "ge_tasks",
    "objectives": "ge_objectives",
    "llm": "ge_language_models",
    "grammar": "ge_grammars",
    "operators": "ge_operators",
    "moves": "ge_moves",
    "checks": "ge_checks",
}
"""Settings whose values are names that plugins register, each with the hook that registers them."""
ASKED, IN_BASH = "_GE_COMPLETE", "complete_bash"
"""The variable by which the shell's script asks for completions, and its value in bash."""


def completer_of(one: Field) -> Completer | None:
    """What completes the values of a setting's flag; None where anything may stand."""
    if one.name in HOOKS:
        return registered(HOOKS[one.name], several=one.about.metavar == "NAME" and one.kind is not str)
    words = one.about.range.words if one.about.range else ()
    return among(words) if words else None


def registered(hook: str, *, several: bool = False) -> Completer:
    """Names that plugins register, those of `--plugin` among them; `several` may stand with commas between.

    The completer raises PluginError where a plugin cannot be loaded.
    """

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        given, blocked = (ctx.params.get(name) or () for name in ("plugin", "no_plugin"))
        names = [name for found, name in api.plugins(given, blocked).owners if found == hook]
        return after_comma(names, incomplete) if several else _beginning(names, incomplete)

    return complete


def among(words: Sequence[str], *, several: bool = False) -> Completer:
    """One of `words`, or `several` with commas between."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:  # noqa: ARG001 (typer gives both)
        return after_comma(words, incomplete) if several else _beginning(words, incomplete)

    return complete


def individuals(ctx: typer.Context, incomplete: str) -> list[str]:  # noqa: ARG001 (typer gives both)
    """RUN:ID of the runs that there are."""
    return references_from(incomplete)


arms = among(tuple(api.ARMS), several=True)
presets = among(tuple(PRESETS))


def after_comma(words: Sequence[str], incomplete: str) -> list[str]:
    """`incomplete` with its last name completed, by none that stands before it."""
    before, comma, last = incomplete.rpartition(",")
    left = [word for word in words if word not in before.split(",")]
    return [before + comma + word for word in _beginning(left, last)]


def _beginning(words: Sequence[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


# --- colons in bash ---------------------------------------------------------------------------------


@contextmanager
def colons_in_bash() -> Iterator[None]:
    """While the block completes for bash: it takes colons for ends of words, so what it cut there is put
    together, and of what completes it, the part after the last colon is printed."""
    if os.environ.get(ASKED) != IN_BASH:
        yield
        return
    words, place = rejoined(os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"]))
    os.environ.update(COMP_WORDS="\n".join(words), COMP_CWORD=str(place))
    before = words[place][: words[place].rfind(":") + 1] if place < len(words) else ""
    told = io.StringIO()
    try:
        with redirect_stdout(told):
            yield
    finally:
        print("\n".join(line.removeprefix(before) for line in told.getvalue().splitlines()))


def rejoined(words: Sequence[str], place: int) -> tuple[list[str], int]:
    """The words of a line that bash has cut at colons, and where among them the one at `place` stands now."""
    joined: list[str] = []
    cursor = place
    for at, word in enumerate(words):
        if joined and at > 1 and (":" in (word[:1], joined[-1][-1:])):
            joined[-1] += word
        else:
            joined.append(word)
        if at == place:
            cursor = len(joined) - 1
    return joined, cursor if place < len(words) else len(joined)

"""Text of models, code, plugins and files reaches a terminal as text: no escape sequence, no markup."""

from __future__ import annotations

import contextlib
import io
import sqlite3
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from synthetic import write_run

from ge_engine.cli import app
from ge_engine.errors import GeError
from ge_engine.views import console
from ge_engine.views.console import PlainConsole, print_error, visible
from ge_engine.views.live import line_of

Show = Callable[[PlainConsole, str], None]
CLIPBOARD = "\x1b]52;c;cm0gLXJmIH4K\x07"
TITLE = "\x1b]0;root@bank\x1b\\"
CLEAR = "\x1b[2J\x1b[H\x1bc"
C1 = "\x9b2J\x9d0;owned\x9c\x90q\x85"
TROJAN = "access = 'user\u202e \u2066# admins only\u2069 \u2066'"
HIDDEN = "a\u200bb\ufeffc\u00ad\U000e0041\u2028d\ud800"
SHOWN = {"clipboard": CLIPBOARD, "title": TITLE, "clear": CLEAR, "c1": C1, "bidi": TROJAN, "hidden": HIDDEN}


def terminal() -> PlainConsole:
    """A console that believes in a terminal with colours, and writes into memory."""
    return PlainConsole(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=200)


def written(screen: PlainConsole, show: Show, text: str) -> str:
    show(screen, text)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def in_table(screen: PlainConsole, text: str) -> None:
    table = Table(box=None)
    table.add_column(text)
    table.add_row(text)
    screen.print(table)


WAYS: dict[str, Show] = {
    "text": lambda screen, text: screen.print(Text(text)),
    "string": lambda screen, text: screen.print(text),
    "assembled": lambda screen, text: screen.print(Text.assemble(("id", "bold"), text)),
    "table": in_table,
    "panel": lambda screen, text: screen.print(Panel(text, title=text)),
    "rejected": lambda screen, text: screen.print(
        line_of("rejected", {"individual": "g0s0", "stage": text, "reason": text}) or ""
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("attack", SHOWN)
def test_an_escape_sequence_that_reaches_the_terminal(way: str, attack: str) -> None:
    shown = written(terminal(), WAYS[way], SHOWN[attack])
    for command in ("\x1b]", "\x1b[2J", "\x1b[H", "\x1bc", "\x07", "\x9b", "\x9d", "\x90", "\x85"):
        assert command not in shown
    assert not set("\u202e\u2066\u2069\u200b\ufeff\u00ad\U000e0041\u2028\ud800") & set(shown)


def test_an_attack_that_is_hidden_instead_of_shown() -> None:
    assert "\\x1b]52;c;" in written(terminal(), WAYS["text"], CLIPBOARD)
    assert "\\u202e" in written(terminal(), WAYS["text"], TROJAN)


@pytest.mark.parametrize("text", ["[link=http://x/]here[/link]", "[red]ok[/red]", "[/]", ":skull:"])
def test_a_text_that_is_taken_for_markup(text: str) -> None:
    for show in (WAYS["string"], WAYS["table"]):
        assert text in written(terminal(), show, text)
    assert type(console.out) is type(console.err) is PlainConsole


def test_an_error_that_commands_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal()
    monkeypatch.setattr(console, "err", screen)
    assert "\x1b]" not in written(screen, lambda _, text: print_error(GeError(text, text)), TITLE)


@given(st.text())
def test_a_character_that_commands_or_hides(text: str) -> None:
    shown = visible(text)
    assert all(c in "\n\t" or unicodedata.category(c) not in console.UNSEEN for c in shown)
    assert visible(shown) == shown


@pytest.mark.parametrize("text", ["naïve 漢字 ✓ − …", "def f(x):\n\treturn x", "", "\\x1b"])
def test_a_plain_text_that_is_changed(text: str) -> None:
    assert visible(text) == text


COMMANDS = (
    ["show", "{run}:{id}", "--code"],
    ["log", "{run}"],
    ["log", "{run}", "--stats"],
    ["diff", "{run}:{id}"],
)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words))
def test_a_command_that_prints_what_a_reply_commands(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    write_run(run, 12, 12)
    with sqlite3.connect(run / "ledger.sqlite") as db:
        db.execute("UPDATE calls SET text = ?, user = ?", (CLIPBOARD, TITLE))
        db.execute("UPDATE individuals SET reason = ? WHERE reason IS NOT NULL", (CLEAR,))
        db.execute("UPDATE individuals SET stage = ? WHERE stage IS NOT NULL", ("[red]" + C1,))
        db.execute("UPDATE individuals SET steps = replace(steps, 'mutation', ?)", ("\\u001b]0;t\\u0007",))
        identity = db.execute("SELECT id FROM individuals WHERE stage IS NULL AND slot >= 0").fetchone()[0]
    db.close()
    screen = terminal()
    run_on(screen, [word.format(run=run, id=identity) for word in words], monkeypatch)
    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue()
    assert len(shown) > 100
    assert not {"\x07", "\x9b", "\x9d"} & set(shown)
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown


def run_on(screen: PlainConsole, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the command with `screen` wherever a command prints."""
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith(("ge_engine.cli", "ge_engine.views")):
            for name in ("out", "err"):
                if isinstance(getattr(module, name, None), PlainConsole):
                    monkeypatch.setattr(module, name, screen)
    monkeypatch.setattr(sys, "argv", ["ge", *words])
    with contextlib.suppress(SystemExit):
        app.main()


@pytest.mark.parametrize("width", [30, 50, 70, 76, 78, 79, 80, 81, 90, 120])
def test_a_figure_that_a_terminal_breaks_or_cuts(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each figure and each name in one piece, whatever the width; other words may break, none is lost."""
    shown = PlainConsole(file=io.StringIO(), force_terminal=True, color_system=None, width=width)
    wide = io.StringIO()
    monkeypatch.setattr(console, "out", shown)
    monkeypatch.setattr(
        console, "PlainConsole", lambda **kw: PlainConsole(file=wide, color_system=None, **kw)
    )
    heads = ("Pareto front", "accuracy", "", "parameters", "", "test", "how")
    table = console.table_of(heads[0], right=heads[1:-1], after=heads[-1])
    row = ("g0s2", "98.96 ± 0.76 %", "+1.74 ≈", "320,782", "-38.1 %", "96.94 ± 0.98 %", "purposeful of DFSEB")
    table.add_row(*row)
    console.print_table(table)
    printed = shown.file.getvalue() + wide.getvalue()  # type: ignore[attr-defined]
    for figure in row[:-1]:
        assert figure in printed
    assert "…" not in printed
    assert sorted("".join(printed.split())) == sorted("".join("".join(one.split()) for one in (*row, *heads)))

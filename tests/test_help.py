"""Help is one screen: the everyday options, and all of them where they are asked for."""

from __future__ import annotations

from itertools import pairwise, takewhile
from typing import Any

import pytest
from test_messages import commands

from ge_engine.cli.app import app
from ge_engine.cli.everyday import EVERYDAY

COLUMNS, ROWS = 80, 40
"""The screen that help has to fit on."""
SHORTENED = {"ge " + name: names for name, names in EVERYDAY.items()}


def helped(
    words: str,
    flag: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    width: int = COLUMNS,
) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    with pytest.raises(SystemExit) as ended:
        app([*words.split()[1:], flag], prog_name="ge")
    assert ended.value.code == 0
    return capsys.readouterr().out.rstrip()


def options(command: Any) -> list[Any]:
    return [one for one in command.params if one.param_type_name == "option"]


@pytest.mark.parametrize("words", sorted(commands()))
def test_a_help_that_does_not_fit_on_a_screen(
    words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = helped(words, "--help", capsys, monkeypatch).splitlines()
    assert len(lines) <= ROWS
    assert max(map(len, lines)) <= COLUMNS


@pytest.mark.parametrize("words", sorted(commands()))
def test_an_option_that_no_help_shows(
    words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grouped = hasattr(commands()[words], "commands")
    said = helped(words, "--help" if grouped else "--help-all", capsys, monkeypatch, 160)
    names = [name for one in options(commands()[words]) for name in one.opts]
    assert not [name for name in names if name not in said]


@pytest.mark.parametrize("words", sorted(SHORTENED))
def test_an_everyday_option_that_the_command_has_not_or_that_is_not_shown(
    words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {one.name: one for one in options(commands()[words])}
    said = helped(words, "--help", capsys, monkeypatch)
    assert set(SHORTENED[words]) < set(known)
    shown = {name for name, one in known.items() if f"{one.opts[0]} " in said}
    assert shown == set(SHORTENED[words])
    assert "--help-all" in said
    assert said == helped(words, "-h", capsys, monkeypatch)


@pytest.mark.parametrize("words", sorted(commands()))
def test_a_help_whose_lines_end_in_the_middle_of_a_sentence(
    words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = helped(words, "--help", capsys, monkeypatch).splitlines()
    prose = [line.rstrip() for line in takewhile(lambda line: not line.startswith("╭"), lines)]
    for line, following in pairwise(prose):
        if line and following:
            assert len(f"{line} {following.split()[0]} ") > COLUMNS, following


def test_a_range_or_a_default_that_the_whole_help_hides(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = " ".join(helped("ge evolve", "--help-all", capsys, monkeypatch).replace("│", " ").split())
    assert "--p-eot" not in whole  # a setting without a flag
    assert "--halving-rate" in whole
    for panel in ("Model and task", "Language model", "Search", "Training", "Run", "Budgets"):
        assert panel in whole


def test_a_version_that_is_not_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Print the version and exit." in helped("ge", "--help", capsys, monkeypatch)

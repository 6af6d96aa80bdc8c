"""Faults of stored texts and their colours: characters lost, colours of another place, size out of hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygments.lexers.python import PythonLexer

from ge_engine.report.highlight import Highlighter
from ge_engine.report.texts import SourceTable

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "ge_engine" / "report").glob("*.py")) + sorted((ROOT / "examples").glob("*.py"))


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def spread(runs: tuple[int, ...], line: str) -> list[int]:
    colours = [colour for colour, length in zip(runs[::2], runs[1::2], strict=True) for _ in range(length)]
    return colours + [0] * (units(line) - len(colours))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_colours_that_differ_from_pygments_on_the_whole_file(path: Path) -> None:
    text = path.read_text("utf-8")
    highlighter = Highlighter()
    whole: list[int] = []
    for _, kind, value in PythonLexer().get_tokens_unprocessed(text):
        whole += [highlighter._colour(kind)] * units(value)
    place = 0
    lines = text.split("\n")
    for line, runs in zip(lines, highlighter.runs(lines), strict=True):
        wanted = whole[place : place + units(line)]
        shown = [(a, b) for a, b, c in zip(spread(runs, line), wanted, line, strict=False) if not c.isspace()]
        assert all(a == b for a, b in shown), line
        place += units(line) + 1


def test_a_string_over_several_lines_coloured_as_code() -> None:
    inside = Highlighter().runs(['x = """def', "class return", 'None""" + 1'])
    assert inside[1] == (2, 12)
    assert Highlighter().runs(["class return"])[0] != (2, 12)


@given(
    st.text(
        alphabet=st.characters(exclude_categories=["Cs"]) | st.sampled_from("\"'\\\n #(){}😀"), max_size=80
    )
)
def test_a_text_that_does_not_come_back(text: str) -> None:
    table = SourceTable()
    expected = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    assert table.lines(table.code(text)) == expected
    assert table.lines(table.text(text)) == expected
    for line, runs in zip(expected, Highlighter().runs(expected), strict=True):
        assert sum(runs[1::2]) <= units(line)


def test_a_thousand_variants_that_store_their_common_lines_again() -> None:
    table = SourceTable()
    block = (ROOT / "examples" / "exquisitenet_v2.py").read_text("utf-8")
    numbers = {table.code(block.replace("kernel_size=4", f"kernel_size={n}")) for n in range(1000)}
    data = table.as_data()
    assert len(numbers) == 1000
    assert len(data["lines"]) < len(set(block.split("\n"))) + 1000  # type: ignore[arg-type]
    assert table.code(block) == table.code(block)

"""Texts of a run, each line stored once, code with Pygments' colours.

Thousands of prompts and blocks share most of their lines: a text is a list of line numbers, so a run
of 5,000 children stays small, and a diff compares whole numbers. Nothing here is ever markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ge_engine.report.highlight import Highlighter, Runs


class SourceTable:
    """Numbers for texts: `text` for prose, `code` for Python. Equal input gives the equal number."""

    def __init__(self) -> None:
        self._highlighter = Highlighter()
        self._lines: dict[str, int] = {}
        self._entries: dict[tuple[int, Runs], int] = {}
        self._documents: dict[tuple[int, ...], int] = {}
        self._known: dict[tuple[str, bool], int] = {}

    def text(self, text: str) -> int:
        """The number of a text without colours."""
        return self._number(text, coloured=False)

    def code(self, code: str) -> int:
        """The number of a Python text, which may be wrong Python."""
        return self._number(code, coloured=True)

    def _number(self, text: str, *, coloured: bool) -> int:
        key = (text, coloured)
        if key not in self._known:
            lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
            runs = self._highlighter.runs(lines) if coloured else [()] * len(lines)
            self._known[key] = self._document(lines, runs)
        return self._known[key]

    def _document(self, lines: Sequence[str], runs: Sequence[Runs]) -> int:
        ids = tuple(self._entry(line, run) for line, run in zip(lines, runs, strict=True))
        return self._documents.setdefault(ids, len(self._documents))

    def _entry(self, line: str, runs: Runs) -> int:
        number = self._lines.setdefault(line, len(self._lines))
        return self._entries.setdefault((number, runs), len(self._entries))

    def lines(self, document: int) -> list[str]:
        """A text's lines, without line ends. Raises IndexError for a number that was not given out."""
        names = list(self._lines)
        entries = list(self._entries)
        return [names[entries[entry][0]] for entry in list(self._documents)[document]]

    def as_data(self) -> Mapping[str, object]:
        """Plain data: unique `lines`; `entries` as (line, colour, length, colour, length, ...);
        `documents` as lists of entries."""
        return {
            "lines": list(self._lines),
            "entries": [[line, *runs] for line, runs in self._entries],
            "documents": [list(ids) for ids in self._documents],
        }

"""Edits of code by place: where a node of its syntax tree stands, and the text with places rewritten."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Characters `start` to `end` of a text become `new`."""

    start: int
    end: int
    new: str


class Source:
    """The code of one block with its syntax tree and the places of the tree's nodes."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def _lines(self) -> list[tuple[int, str]]:
        starts, at = [], 0
        for line in self.text.split("\n"):
            starts.append((at, line))
            at += len(line) + 1
        return starts

    def offset(self, line: int, column: int) -> int:
        """The index of the character at `line` (from 1) and `column` (UTF-8 bytes, as `ast` counts)."""
        start, text = self._lines[line - 1]
        return start + (column if text.isascii() else len(text.encode()[:column].decode()))

    def span(self, node: ast.expr | ast.stmt | ast.arg | ast.keyword) -> tuple[int, int]:
        """Where the node begins and ends, as indices of characters."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)

    def of(self, node: ast.expr | ast.stmt) -> str:
        """The node's own text."""
        start, end = self.span(node)
        return self.text[start:end]

    def on_one_line(self, node: ast.expr | ast.stmt) -> str:
        """The node's text; where it stands on several lines, in the parser's own layout on one."""
        text = self.of(node)
        return ast.unparse(node) if "\n" in text else text

    def lines_of(self, node: ast.stmt) -> tuple[int, int]:
        """Where the lines of a statement begin and end, the last line end included."""
        first, _ = self._lines[node.lineno - 1]
        last, text = self._lines[(node.end_lineno or node.lineno) - 1]
        return first, min(last + len(text) + 1, len(self.text))

    def edited(self, edits: Iterable[Edit]) -> str | None:
        """The text after `edits`; None where two overlap or the result is refused."""
        ordered = sorted(edits)
        if any(one.end > two.start for one, two in pairwise(ordered)):
            return None
        text = self.with_edits(ordered)
        return text if self.accepts(text) else None

    def with_edits(self, edits: Iterable[Edit]) -> str:
        """The text after `edits`, which do not overlap."""
        text = self.text
        for edit in sorted(edits, reverse=True):
            text = text[: edit.start] + edit.new + text[edit.end :]
        return text

    def accepts(self, text: str) -> bool:
        """Whether another text may stand in this one's place."""
        try:
            ast.parse(text)
        except (SyntaxError, ValueError):
            return False
        return True

    def spelled(self, node: ast.expr, number: str) -> str:  # noqa: ARG002
        """A number as the language writes it in the place of a node."""
        return number

    def fixes(self, name: str) -> bool:  # noqa: ARG002
        """Whether a number of this name is no choice of the model's."""
        return False

    def choices(self) -> Iterable[tuple[ast.expr, tuple[str, ...]]]:
        """Literals besides numbers that have other values, each with these."""
        return ()

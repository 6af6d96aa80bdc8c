"""Colours of Python code by Pygments, line by line and remembered, so that 5,000 variants of a block
cost little more than one."""

from __future__ import annotations

from collections.abc import Sequence

from pygments.lexer import ExtendedRegexLexer, LexerContext
from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String

Runs = tuple[int, ...]
State = tuple[str, ...]

# The order is the page's: a colour is its place in this list, 0 is plain text.
COLOURS = (
    "plain",
    "keyword",
    "string",
    "comment",
    "number",
    "definition",
    "builtin",
    "decorator",
    "operator",
)
_KINDS = (
    (Name.Decorator, "decorator"),
    (Name.Function, "definition"),
    (Name.Class, "definition"),
    (Name.Builtin, "builtin"),
    (Name.Exception, "builtin"),
    (Keyword.Constant, "number"),
    (Operator.Word, "keyword"),
    (Operator, "operator"),
    (Keyword, "keyword"),
    (String, "string"),
    (Comment, "comment"),
    (Number, "number"),
)


class _Resumable(ExtendedRegexLexer, PythonLexer):  # type: ignore[misc]
    """Pygments' Python lexer that can go on in the state where a line before ended."""


class Highlighter:
    """Colours lines. The state at a line's start (inside a string or not) is part of what is remembered."""

    def __init__(self) -> None:
        self._lexer = _Resumable()
        self._known: dict[tuple[str, State], tuple[Runs, State]] = {}
        self._colours: dict[object, int] = {}

    def runs(self, lines: Sequence[str]) -> list[Runs]:
        """For each line (colour, length, colour, length, ...); a plain rest of a line is left out.

        Lengths count UTF-16 units, as a browser's strings do.
        """
        state: State = ("root",)
        found = []
        for line in lines:
            key = (line, state)
            if key not in self._known:
                self._known[key] = self._line(line, state)
            runs, state = self._known[key]
            found.append(runs)
        return found

    def _line(self, line: str, state: State) -> tuple[Runs, State]:
        context = LexerContext(line + "\n", 0, list(state))
        pieces: list[list[int]] = []
        for _, kind, value in self._lexer.get_tokens_unprocessed(context=context):
            length = _units(value.rstrip("\n"))
            colour = self._colour(kind)
            if pieces and pieces[-1][0] == colour:
                pieces[-1][1] += length
            elif length:
                pieces.append([colour, length])
        assert sum(length for _, length in pieces) == _units(line), line
        if pieces and pieces[-1][0] == 0:
            pieces.pop()
        return tuple(number for piece in pieces for number in piece), tuple(context.stack)

    def _colour(self, kind: object) -> int:
        if kind not in self._colours:
            name = next((name for parent, name in _KINDS if kind in parent), "plain")
            self._colours[kind] = COLOURS.index(name)
        return self._colours[kind]


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2

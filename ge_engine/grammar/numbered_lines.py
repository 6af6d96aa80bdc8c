"""Reads an answer of the form `edits`: which lines it restates, and the block after them.

Only lines that were asked for are taken. A statement may go on over lines without a number. Prose around the
lines is left out; code that has no place is a reason to refuse.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ge_engine.grammar.line_splicing import (
    has_body,
    is_bare_word,
    is_code,
    is_code_or_broken,
    is_compound,
    is_word,
    replaced,
    tree_of,
)
from ge_engine.outcome import Rejected
from ge_engine.replies.answer import CUT_OFF, Answer, Extraction
from ge_engine.replies.block_match import Matcher
from ge_engine.replies.embedded_code import prose_regions
from ge_engine.replies.fences import outside
from ge_engine.source.digests import digest
from ge_engine.source.syntax import SyntaxFault, parse

_LEAD = r"[ \t>*`-]*+(?:lines?[ \t]++)?"
LINE = re.compile(rf"{_LEAD}(\d{{1,5}})[*`]*[ \t]*+[:|](?:\*\*)?[ \t]?(.*)", re.IGNORECASE)
WIDTH = re.compile(
    rf"{_LEAD}width[ \t]++(\d{{1,5}})[ \t]*+(?:=|->|to)[ \t]*+(\d{{1,5}})[ \t`*.]*+", re.IGNORECASE
)
NO_LINES = Rejected("extract", "the reply holds no line of the form `number: code`")
_STRING = re.compile(r"\"(?:[^\"\\\n]|\\.)*+\"|'(?:[^'\\\n]|\\.)*+'|#.*")
MAX_GOING_ON = 60
"""Lines over which one statement of an answer may go on."""


@dataclass(slots=True)
class Stated:
    """A line of the block as an answer has it: its number, its text, and the lines after it without one."""

    number: int
    text: str
    rest: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lines:
    """What one piece of a reply states: lines by number, widths, and the lines before them."""

    stated: tuple[Stated, ...]
    widths: tuple[tuple[int, int], ...]
    before: tuple[str, ...]


def stated(text: str) -> Lines:
    """All lines of `text` that have the form."""
    lines, before = list[Stated](), list[str]()
    widths: list[tuple[int, int]] = []
    for line in text.split("\n"):
        if (match := WIDTH.fullmatch(line)) is not None:
            widths.append((int(match[1]), int(match[2])))
        elif (match := LINE.fullmatch(line)) is not None:
            lines.append(Stated(int(match[1]), _unquoted(match[2])))
        elif lines:
            lines[-1].rest.append(line)
        else:
            before.append(line)
    return Lines(tuple(lines), tuple(widths), tuple(before))


def rewritten(answer: Answer, numbers: frozenset[int]) -> Extraction | Rejected | None:
    """The block with the lines `numbers` as the answer has them; None when it holds no lines of this form."""
    pieces = pieces_of(answer, numbers)
    if not any(one.stated for one, _ in pieces):
        return None
    if cut_off(answer, pieces):
        return CUT_OFF
    code = answer.matcher.code
    old = code.split("\n")
    versions: dict[int, list[str]] = {}
    for piece, fenced in pieces:
        read = _versions(piece, fenced, old, numbers)
        if isinstance(read, Rejected):
            return read
        for number, text in read:
            versions.setdefault(number, []).append(text)
    if not versions:
        return NO_LINES
    tree = ast.parse(code)
    inside = next((n for n, texts in versions.items() if any(has_body(t, tree, n) for t in texts)), None)
    if inside is not None:
        return Rejected("extract", f"line {inside} begins a block of lines: answer with that line alone")
    new = {number: _chosen(texts, old, tree, number) for number, texts in versions.items()}
    return Extraction(
        replaced(old, tree, new), ("took " + ("a line" if len(new) == 1 else f"{len(new)} lines"),)
    )


def pieces_of(answer: Answer, numbers: frozenset[int]) -> list[tuple[Lines, bool]]:
    """What each fence states, and that it is one; where none states a line, what the text states."""
    fenced = [stated(f.code) for f in answer.found if not _is_block(f.code, answer.matcher, numbers, True)]
    fenced = [one for one in fenced if one.stated or one.widths]
    pure = [one for one in fenced if not any(map(is_code_or_broken, one.before))]
    if fenced:
        return [(one, True) for one in pure or fenced]
    text = outside(answer.text, list(answer.found))
    return [] if _is_block(text, answer.matcher, numbers, False) else [(stated(text), False)]


def cut_off(answer: Answer, pieces: Sequence[tuple[Lines, bool]]) -> bool:
    """The token limit ended the reply, and not after a fence around what it states."""
    return answer.cut and not (all(fenced for _, fenced in pieces) and all(f.closed for f in answer.found))


def _is_block(text: str, matcher: Matcher, numbers: frozenset[int], fenced: bool) -> bool:
    """The text holds the whole block: lines that look numbered are lines of its code, or number all of it."""
    if not matcher.mentions(text):
        return False
    lines = stated(text)
    others = [*lines.before, *itertools.chain.from_iterable(one.rest for one in lines.stated)]
    if fenced and any(map(matcher.mentions, others)):
        return True
    if not any(map(str.strip, others)) and {one.number for one in lines.stated} <= numbers:
        return False
    return matcher.usable(text) is not None or any(
        matcher.usable(r.text) for r in prose_regions(text, matcher.header)
    )


def _versions(
    piece: Lines, fenced: bool, old: Sequence[str], numbers: frozenset[int]
) -> list[tuple[int, str]] | Rejected:
    """The statements for lines that were asked for; or why the piece cannot be taken."""
    if fenced and any(map(is_code_or_broken, piece.before)):
        return Rejected("extract", "the reply mixes numbered lines with code without a number")
    known_lines = {line.strip() for line in old}
    others = [*piece.before, *itertools.chain.from_iterable(map(_later, piece.stated))]
    if not fenced and any(line.strip() not in known_lines and is_code(line) for line in others):
        return Rejected("extract", "the reply holds code without the number of its line")
    found: list[tuple[int, str]] = []
    for one in _joined(piece.stated, old, numbers):
        known = 1 <= one.number <= len(old)
        if one.number not in numbers:
            same = known and one.text.strip() == old[one.number - 1].strip()
            if (same and not any(map(is_code, one.rest))) or (not fenced and not is_code(one.text)):
                continue
            where = "which was not asked for" if known else f"but the block has {len(old)} lines"
            return Rejected("extract", f"the reply changes line {one.number}, {where}")
        text = _going_on(one, fenced)
        if isinstance(text, Rejected):
            return text
        found.append((one.number, text))
    return found


def _joined(lines: Sequence[Stated], old: Sequence[str], numbers: frozenset[int]) -> Iterator[Stated]:
    """The lines, each with those joined to it that go on with its statement: it opens a bracket that the
    old line did not, and they have the next numbers."""
    at = 0
    while at < len(lines):
        one = Stated(lines[at].number, lines[at].text, list(lines[at].rest))
        at += 1
        closed = 1 <= one.number <= len(old) and unclosed(old[one.number - 1]) <= 0
        following = one.number + 1
        while closed and at < len(lines) and lines[at].number == following and following not in numbers:
            if len(one.rest) > MAX_GOING_ON or unclosed("\n".join([one.text, *one.rest])) <= 0:
                break
            one.rest += [lines[at].text, *lines[at].rest]
            at, following = at + 1, following + 1
        yield one


def unclosed(text: str) -> int:
    """How many brackets of a piece of code are still open at its end."""
    bare = _STRING.sub("", text)
    return sum(map(bare.count, "([{")) - sum(map(bare.count, ")]}"))


def _going_on(one: Stated, fenced: bool) -> str | Rejected:
    """The statement with the lines without a number that belong to it."""
    run = list(itertools.takewhile(str.strip, one.rest)) if not fenced else list(one.rest)
    reason = f"what follows line {one.number} cannot be read: answer with whole statements"
    refused = Rejected("extract", reason)
    while run and not run[-1].strip():
        run.pop()
    if not run:
        return one.text
    if len(run) > MAX_GOING_ON:
        return refused
    if unclosed(one.text) > 0:
        for end in range(1, len(run) + 1):
            if unclosed("\n".join([one.text, *run[:end]])) <= 0:
                return _with_statements("\n".join([one.text, *run[:end]]), run[end:], fenced) or refused
        return refused
    return _with_statements(one.text, run, fenced) or refused


def _later(one: Stated) -> list[str]:
    """The lines without a number that do not stand right below the line."""
    return list(itertools.dropwhile(str.strip, one.rest))


def _with_statements(text: str, run: list[str], fenced: bool) -> str | None:
    """The code with the lines after it that are code, at the indent that makes it so; None when they must
    be code and are not, or can be read in two ways."""
    if not any(map(str.strip, run)):
        return text
    if fenced and all(not line.strip() or line.lstrip().startswith("#") for line in run):
        return "\n".join([text, *(line.strip() for line in run if line.strip())])
    read: dict[str, str] = {}
    for layout in _layouts(text, run):
        tree = tree_of(layout)
        if tree is not None and (not all(map(is_word, tree.body[1:])) or is_compound(tree)):
            read.setdefault(digest(tree), layout)
    if len(read) == 1:
        return next(iter(read.values()))
    return text if not read and not fenced and not any(map(is_code, run)) else None


def _layouts(text: str, run: list[str]) -> Iterator[str]:
    """The lines after a statement as they stand, shifted to it, and one level below it."""
    yield "\n".join([text, *run])
    indent = min((line[: len(line) - len(line.lstrip())] for line in run if line.strip()), key=len)
    bare = [line.removeprefix(indent) for line in run]
    yield "\n".join([text, *bare])
    yield "\n".join([text, *(f"    {line}" if line.strip() else "" for line in bare)])


def _chosen(texts: list[str], old: Sequence[str], tree: ast.Module, number: int) -> str:
    """The last version that compiles in its place and changes the line; else the last."""
    unique = list(dict.fromkeys(texts))[-MAX_GOING_ON:]
    before = old[number - 1].strip()
    fitting = [
        text
        for text in unique
        if text.strip() != before
        and not isinstance(parse(replaced(old, tree, {number: text})), SyntaxFault)
        and not (is_bare_word(text) and not is_bare_word(before))
    ]
    return fitting[-1] if fitting else unique[-1]


def _unquoted(text: str) -> str:
    """The code of a line, out of the backticks of an inline code span."""
    return text.rstrip(" \t").strip("`") if text.rstrip(" \t").endswith("`") else text.rstrip(" \t")

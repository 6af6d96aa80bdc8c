"""A file's bytes -> segments, and which of its definitions cannot be evolved, and why."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate, takewhile

from ge_engine.errors import SeedError
from ge_engine.source.digests import digest
from ge_engine.source.dynamic import dynamic_names
from ge_engine.source.evolvability import definitions_in, module_reasons
from ge_engine.source.facts import Kind
from ge_engine.source.names import module_names
from ge_engine.source.segments import Segment
from ge_engine.source.syntax import (
    DEFINITIONS,
    Assignment,
    Definition,
    SyntaxFault,
    assigned_name,
    block_indent,
    end_line,
    first_line,
    is_docstring,
    last_line,
    newline_of,
    split_lines,
    tree_of,
)
from ge_engine.source.values import module_values, unread

BOM = b"\xef\xbb\xbf"
UNREAD = "no code of the file reads it"
"""Why a value cannot be evolved; in a seed model of several files, another one may read it."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """A definition that cannot be evolved and stands in an opaque segment; lines count in it."""

    address: str
    kind: Kind
    first: int
    last: int
    digest: str
    reason: str


@dataclass(frozen=True, slots=True)
class SegmentedFile:
    """A file in segments. `index` finds a block's segment, `leads` the segment where the
    comments above it begin, `import_at` the (empty) segment before which imports are added; `names` are all
    that the file binds, "*" when there are some that cannot be told. `former` are the names of
    segments, "" for opaque ones, where definitions alone are cut out: what run databases once counted by."""

    bom: bytes
    encoding: str
    newline: str
    indent: str
    segments: tuple[Segment, ...]
    index: Mapping[str, int]
    leads: Mapping[int, int]
    import_at: int
    blocked: Mapping[int, tuple[Blocked, ...]]
    reasons: Mapping[str, str]
    names: frozenset[str]
    former: tuple[str, ...]

    def import_text(self, imports: tuple[str, ...]) -> str:
        """The lines that add `imports`, fitted to what stands before them."""
        before = next((s.text for s in reversed(self.segments[: self.import_at]) if s.text), "\n")
        start = "" if before.endswith(("\n", "\r")) else self.newline
        after = next((s.text for s in self.segments[self.import_at :] if s.text), "")
        end = self.newline * 2 if after.startswith(("def ", "class ", "async ", "@", "#")) else ""
        return start + "".join(line + self.newline for line in imports) + end


@dataclass(slots=True)
class _Piece:
    start: int
    end: int
    name: str = ""
    owner: str = ""


def segment_file(data: bytes, name: str) -> SegmentedFile:
    """Cut a file. `name` is used in messages only.

    Raises:
        SeedError: the bytes are no text, or no Python, with the line.
    """
    bom, encoding, text = _decode(data, name)
    tree = _tree(text, name)
    lines = split_lines(text)
    starts = [0, *accumulate(map(len, lines))]
    reasons = dict(module_reasons(tree))
    values = module_values(tree)
    pieces = list(_pieces(tree, lines, starts, set(reasons), values.values()))
    begins = [starts[first_line(statement, lines) - 1] for statement in tree.body]
    segments = tuple(_segment(text, piece, tree.body, begins) for piece in pieces)
    index = {p.name: at for at, p in enumerate(pieces) if p.name}
    leads = {
        at: at - 1 if at and pieces[at - 1].owner == p.name else at for at, p in enumerate(pieces) if p.name
    }
    import_at = next(at for at, p in enumerate(pieces) if p.owner == "import")
    blocked = _blocked(tree, pieces, lines, starts, reasons)
    former = tuple(piece.name for piece in _pieces(tree, lines, starts, set(reasons), ()))
    reasons |= dict.fromkeys(unread(tree, values), UNREAD)
    return SegmentedFile(
        bom,
        encoding,
        newline_of(text, "\n"),
        _indent(tree, lines),
        segments,
        index,
        leads,
        import_at,
        blocked,
        reasons,
        module_names(text) | dynamic_names(tree, text),
        former,
    )


def _segment(text: str, piece: _Piece, statements: list[ast.stmt], begins: list[int]) -> Segment:
    """A segment; an opaque one gets its statements at once, for alone it need not be valid Python."""
    tree = None
    if not piece.name:
        inside = statements[bisect_left(begins, piece.start) : bisect_left(begins, piece.end)]
        tree = ast.Module(inside, [])
    return Segment(text[piece.start : piece.end], piece.name, tree)


def _decode(data: bytes, name: str) -> tuple[bytes, str, str]:
    bom = BOM if data.startswith(BOM) else b""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except SyntaxError as error:
        if b"\0" in data:
            raise _no_text(name) from error
        reason = f"The text encoding of {name} is unknown: {error.msg}."
        raise SeedError(reason, "Save it as UTF-8.") from error
    encoding = "utf-8" if bom else encoding
    try:
        text = data[len(bom) :].decode(encoding)
        unchanged = bom + text.encode(encoding) == data
    except LookupError as error:
        reason = f"{encoding} is no text encoding, so {name} cannot be read."
        raise SeedError(reason, "Save it as UTF-8.") from error
    except UnicodeError as error:
        if b"\0" in data:
            raise _no_text(name) from error
        line = data.count(b"\n", 0, getattr(error, "start", 0)) + 1
        raise SeedError(f"{name} is not {encoding} text (line {line}).", "Save it as UTF-8.") from error
    if not unchanged:
        raise SeedError(f"The text encoding of {name} does not give its bytes back.", "Save it as UTF-8.")
    return bom, encoding, text


def _no_text(name: str) -> SeedError:
    return SeedError(f"{name} is not a text file.", "Name the Python file that defines the model.")


def _tree(text: str, name: str) -> ast.Module:
    tree = tree_of(text)
    if isinstance(tree, SyntaxFault):
        hint = "Fix that line, or name the Python file that defines the model."
        raise SeedError(f"{name} is not valid Python: {tree}.", hint)
    return tree


def _pieces(
    tree: ast.Module, lines: list[str], starts: list[int], barred: set[str], values: Iterable[Assignment]
) -> Iterator[_Piece]:
    """The file's pieces in order, without gaps: definitions, less those that are barred, values, the rest."""
    at = 0
    above = 0
    import_line = _import_line(tree, lines)
    marks = [_value(node, lines, starts) for node in values]
    marks.append(_Piece(starts[import_line], starts[import_line], owner="import"))
    for node in tree.body:
        if isinstance(node, DEFINITIONS) and node.name not in barred:
            marks.extend(_definition(node, lines, starts, above))
            above = end_line(node, lines)
        else:
            above = last_line(node)
    for mark in sorted(marks, key=lambda m: (m.start, m.end)):
        if mark.start > at:
            yield _Piece(at, mark.start)
        yield mark
        at = mark.end
    if at < starts[-1]:
        yield _Piece(at, starts[-1])


def _definition(node: Definition, lines: list[str], starts: list[int], above: int) -> Iterator[_Piece]:
    first, last = first_line(node, lines), end_line(node, lines)
    lead = first - 1
    while lead > above and lines[lead - 1].lstrip(" \t\x0c").startswith("#"):
        lead -= 1
    line = lines[first - 1]
    start = starts[first - 1] + len(line) - len(line.lstrip(" \t\x0c"))
    if starts[lead] < start:
        yield _Piece(starts[lead], start, owner=node.name)
    end = starts[last] - (len(lines[last - 1]) - len(lines[last - 1].rstrip("\r\n")))
    yield _Piece(start, end, name=node.name)


def _value(node: Assignment, lines: list[str], starts: list[int]) -> _Piece:
    """An assignment, without the comment that may follow on its last line."""
    last = last_line(node) - 1
    end = len(lines[last].encode()[: node.end_col_offset].decode())
    return _Piece(starts[node.lineno - 1], starts[last] + end, name=assigned_name(node))


def _import_line(tree: ast.Module, lines: list[str]) -> int:
    """The number of lines after which an import may be added."""
    after = 0
    for statement in tree.body:
        plain = isinstance(statement, (ast.Import, ast.ImportFrom))
        if plain or (after == 0 and is_docstring(statement)):
            after = last_line(statement)
        elif not isinstance(statement, (ast.If, ast.Try)) and not is_docstring(statement):
            break
    return after or _after_header(lines)


def _after_header(lines: list[str]) -> int:
    """Lines of the comment at the top of a file: the licence, or else only `#!` and the encoding."""
    count = 0
    while count < len(lines) and lines[count].startswith("#"):
        count += 1
    if count == len(lines) or not lines[count].strip():
        return next((at for at in range(count, len(lines)) if lines[at].strip()), len(lines)) if count else 0
    special = takewhile(re.compile(r"#!|#.*coding[:=]").match, lines[: min(count, 2)])
    return sum(1 for _ in special)


def _indent(tree: ast.Module, lines: list[str]) -> str:
    for node in ast.walk(tree):
        if isinstance(node, DEFINITIONS) and node.col_offset == 0:
            indent = block_indent(node, lines)
            if indent:
                return indent
    return "    "


def _blocked(
    tree: ast.Module, pieces: list[_Piece], lines: list[str], starts: list[int], reasons: Mapping[str, str]
) -> Mapping[int, tuple[Blocked, ...]]:
    found: dict[int, list[Blocked]] = {}
    seen: set[str] = set()
    for node, _ in definitions_in(tree.body):
        if node.name not in reasons or node.name in seen:
            continue
        seen.add(node.name)
        offset = starts[first_line(node, lines) - 1]
        at = next(i for i, p in enumerate(pieces) if p.start <= offset < p.end)
        before = sum(1 for start in starts if start <= pieces[at].start) - 1
        first, last = first_line(node, lines) - before, end_line(node, lines) - before
        kind: Kind = "class" if isinstance(node, ast.ClassDef) else "function"
        found.setdefault(at, []).append(
            Blocked(node.name, kind, first, last, digest(node), reasons[node.name])
        )
    return {at: tuple(group) for at, group in found.items()}

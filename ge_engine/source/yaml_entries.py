"""An entry of a YAML file as a segment, and rewritten so that every byte beside a changed value stays."""

from __future__ import annotations

import ast
import re
from functools import cached_property

from ge_engine.outcome import Rejected
from ge_engine.source.digests import digest, digest_of
from ge_engine.source.elision import stands_for_code
from ge_engine.source.facts import Facts, Span
from ge_engine.source.layout import with_line_ends
from ge_engine.source.segments import Segment
from ge_engine.source.source_text import Edit, Source
from ge_engine.source.syntax import SyntaxFault, newline_of, normalised
from ge_engine.source.yaml_source import YamlSource, float_text, is_exponent, keys_of
from ge_engine.source.yaml_tree import odd_parts, read

_COMMENT = re.compile(r"(?:^|(?<=\s))#.*", re.MULTILINE)


class YamlSegment(Segment):
    """A stretch of a YAML file: an entry by the name of its key, or what stands between entries."""

    language = "yaml"
    refusal = None

    @property
    def tree(self) -> ast.Module:
        tree = read(self.code) if self.name else None
        return tree if isinstance(tree, ast.Module) else ast.Module([], [])

    @cached_property
    def facts(self) -> Facts:
        body = self.tree.body
        text = _COMMENT.sub("", self.code).strip()
        meaning = digest(*body) if body else digest_of(text) if text else ""
        span = Span(self.name, "values", 1, len(self.lines), "", "", meaning, (), None, False, False)
        outer = span if self.name else None
        return Facts(meaning, outer, (), "", (), {}, {}, frozenset(), {})

    def stand_in(self, new: ast.stmt, code: str) -> str:
        last = new.end_lineno or new.lineno
        comments = _COMMENT.findall("\n".join(code.split("\n")[new.lineno - 1 : last]))
        return next((c[:60] for c in comments if stands_for_code(c) and c not in self.code), "")


def rewritten_entry(segment: Segment, code: str, default: str) -> Segment | Rejected:
    """The entry with the values that `code` gives it, in the layout of the old one: of values that differ
    alone the texts change; where keys or lengths do, the innermost part on one line, else the whole entry.
    `default` is the file's line end. Stages "compile" and "contract".
    """
    tree = read(code)
    if isinstance(tree, SyntaxFault):
        return Rejected("compile", f"{tree}.")
    if keys_of(tree) != [segment.name] or any(odd_parts(tree)):
        return Rejected("contract", f"the patch of {segment.name} must hold this entry alone, without {ODD}.")
    text = _in_layout(YamlSource(segment.code), YamlSource(code))
    end = newline_of(segment.text, default)
    return YamlSegment(with_line_ends(text, segment.text, end), segment.name)


def is_entry(text: str, name: str) -> bool:
    """Whether the text of a segment is the entry of a key, of plain values."""
    tree = read(normalised(text))
    return isinstance(tree, ast.Module) and keys_of(tree) == [name] and not any(odd_parts(tree))


ODD = "anchors, aliases, tags, dates and blocks of text"


def read_like(old: Segment, new: ast.stmt, text: str) -> YamlSource | Rejected:
    """An entry of a text, `new`, alone. A number that is a text to YAML, `3e-4`, becomes one that is none
    where the old value is a number, and the other way round. Stage "contract"."""
    if any(odd_parts(new)):
        return Rejected("contract", f"{old.name} must be written without {ODD}.")
    alone = YamlSource(Source(text).of(new))
    edits = _respelled(YamlSource(old.code).statement.value, alone.statement.value, alone)
    return YamlSource(alone.with_edits(edits))


def _respelled(old: ast.expr, new: ast.expr, text: YamlSource) -> list[Edit]:
    if (pairs := _aligned(old, new)) is not None:
        return [edit for pair in pairs for edit in _respelled(*pair, text)]
    if not isinstance(old, ast.Constant) or not isinstance(new, ast.Constant):
        return []
    if type(old.value) in (int, float) and is_exponent(new.value):
        return [Edit(*text.span(new), float_text(float(str(new.value))))]
    if is_exponent(old.value) and type(new.value) in (int, float):
        return [Edit(*text.span(new), f'"{text.of(new)}"')]
    return []


def _in_layout(old: YamlSource, new: YamlSource) -> str:
    whole = new.of(new.statement)
    edits = _edits(old.statement.value, new.statement.value, old, new)
    if edits is None:
        return whole
    text = old.with_edits(edits)
    made = read(text)
    same = isinstance(made, ast.Module) and digest(*made.body) == digest(*new.tree.body)
    return text if same else whole


def _edits(a: ast.expr, b: ast.expr, old: YamlSource, new: YamlSource) -> list[Edit] | None:
    """What makes the old value the new one; None where that does not fit on its line."""
    if digest(a) == digest(b):
        return []
    if (pairs := _aligned(a, b)) is not None:
        found = [_edits(*pair, old, new) for pair in pairs]
        if all(edits is not None for edits in found):
            return [edit for edits in found for edit in edits or ()]
    if not _is_inline(a, old) or not _is_inline(b, new):
        return None
    start, end = old.span(a)
    return [Edit(start, end, ("" if end > start else " ") + new.of(b))]


def _aligned(a: ast.expr, b: ast.expr) -> list[tuple[ast.expr, ast.expr]] | None:
    """The parts of two values of one shape, pair by pair."""
    if isinstance(a, ast.List) and isinstance(b, ast.List) and len(a.elts) == len(b.elts):
        return list(zip(a.elts, b.elts, strict=True))
    if isinstance(a, ast.Dict) and isinstance(b, ast.Dict) and _digests(a.keys) == _digests(b.keys):
        return list(zip(a.values, b.values, strict=True))
    return None


def _digests(keys: list[ast.expr | None]) -> list[str]:
    return [digest(key) for key in keys if key is not None]


def _is_inline(node: ast.expr, text: YamlSource) -> bool:
    shown = text.of(node)
    return "\n" not in shown and (isinstance(node, ast.Constant) or shown[0] in "[{")

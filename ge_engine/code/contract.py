"""What a rewritten block owes to its callers: name, parameters, members, and no elision."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from ge_engine.code.bindings import bindings
from ge_engine.code.facts import Signature, Span, is_ellipsis, is_stub, signature_of
from ge_engine.code.segments import Segment
from ge_engine.code.syntax import FUNCTIONS, Definition
from ge_engine.outcome import Rejected

MAX_REASONS = 3
_LEFT_OUT = re.compile(
    r"^\s*(\.\.\.|…)|(\.\.\.|…)\s*$"
    r"|\b(rest|remainder|remaining)\b.*\b(unchanged|same|code|implementation|methods?|class|function)\b"
    r"|\b(unchanged|omitted|same as (before|above|original)|as before|for brevity)\b"
    r"|\b(existing|original|previous|other) (code|methods?|implementation|layers?)\b.*"
    r"(\b(here|unchanged|remains?|stays?|same)\b|\.\.\.|…)"
    r"|^\s*(your|add|insert) (code|implementation) here",
    re.IGNORECASE,
)


def check_contract(segment: Segment, span: Span, new: Definition, code: str) -> Rejected | None:
    """Compare `new`, read from `code` (column 0, LF), with the definition `span` of `segment`.

    Every call that fitted the old parameters must fit the new ones; a class keeps its methods and
    attributes; nothing stands for code that was left out. Stage "contract".
    """
    reasons: list[str] = []
    if isinstance(new, ast.ClassDef):
        reasons += _members(segment, new)
    elif span.signature is not None:
        if isinstance(new, ast.AsyncFunctionDef) != span.awaited:
            reasons.append(f"{span.name} must {'stay' if span.awaited else 'not become'} async")
        reasons += _parameters(span.name, span.signature, signature_of(new.args))
    reasons += dict.fromkeys(f"{what}: write the whole block" for what in _elisions(segment, span, new, code))
    return Rejected("contract", "; ".join(reasons[:MAX_REASONS]) + ".") if reasons else None


def comments(code: str) -> list[tuple[int, str]]:
    """Comments of code that compiles, with their lines."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return [(t.start[0], t.string) for t in tokens if t.type == tokenize.COMMENT]


def _members(segment: Segment, new: ast.ClassDef) -> Iterator[str]:
    methods = {n.name: n for n in new.body if isinstance(n, FUNCTIONS)}
    present = {name for name, _ in bindings(new.body)}
    missing = [s.name for s in segment.facts.methods if s.name not in present]
    if missing:
        yield f"{new.name} must keep its methods; missing: {', '.join(dict.fromkeys(missing))}"
    lost = [name for name in segment.facts.attributes if name not in present]
    if lost:
        yield f"{new.name} must keep its class attributes; missing: {', '.join(lost)}"
    for span in segment.facts.methods:
        if span.name in methods and span.signature and span.name not in segment.facts.repeated:
            name = f"{new.name}.{span.name}"
            yield from _parameters(name, span.signature, signature_of(methods[span.name].args))


def _parameters(name: str, old: Signature, new: Signature) -> Iterator[str]:
    added = {*new.positional, *new.keyword_only} - {*old.positional, *old.keyword_only}
    fits = (
        new.positional[: len(old.positional)] == old.positional
        and new.positional_only <= old.positional_only
        and set(old.keyword_only) <= {*new.keyword_only, *new.positional}
        and old.defaults <= new.defaults
        and added <= new.defaults
        and (not old.variadic or (bool(new.variadic) and len(new.positional) == len(old.positional)))
        and (not old.keywords or bool(new.keywords))
    )
    if not fits:
        yield f"{name} must keep its parameters {old.text}, not {new.text}"


def _elisions(segment: Segment, span: Span, new: Definition, code: str) -> Iterator[str]:
    stubs = {s.name for s in (span, *segment.facts.methods) if s.stub}
    if isinstance(new, ast.ClassDef) and is_stub(new):
        if not span.stub:
            yield f"the body of {new.name} is left out"
        return
    for node in ast.walk(new):
        if isinstance(node, FUNCTIONS) and is_stub(node):
            if node.name not in stubs:
                yield f"the body of {node.name} is left out (line {node.lineno})"
            continue
        for part in (getattr(node, "body", None), getattr(node, "orelse", None)):
            if isinstance(part, list):
                yield from (f"code is left out in line {n.lineno}" for n in part if is_ellipsis(n))
    if not any(_LEFT_OUT.search(line.partition("#")[2]) for line in code.split("\n") if "#" in line):
        return
    first, last = new.lineno, new.end_lineno or new.lineno
    for line, comment in comments(code):
        if first <= line <= last and _LEFT_OUT.search(comment.lstrip("# ")) and comment not in segment.code:
            yield f"the comment in line {line} stands for code that is left out ({comment[:60]})"

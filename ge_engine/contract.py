"""What a rewritten block owes to its callers: name, parameters, methods, and no elision."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from ge_engine.outcome import Rejected
from ge_engine.segments import Segment, Signature, Span, bindings, is_ellipsis, is_stub, signature_of
from ge_engine.syntax import FUNCTIONS, Definition

_ELIDED = re.compile(
    r"(\.\.\.|…)\s*$|^\s*(\.\.\.|…)"
    r"|\b(rest|remainder|remaining)\b.*\b(unchanged|same|code|implementation|methods?|class|function|as before)\b"
    r"|\b(unchanged|omitted|same as (before|above|original)|as before|for brevity)\b"
    r"|\b(existing|original|previous|other) (code|methods?|implementation|layers?)\b.*"
    r"(here|unchanged|remains?|stays?|same|\.\.\.|…)"
    r"|^\s*(your|add|insert) (code|implementation) here",
    re.IGNORECASE,
)


def check_contract(segment: Segment, span: Span, new: Definition, code: str) -> Rejected | None:
    """Compare `new`, read from `code` (column 0, LF), with the definition `span` of `segment`."""
    old = segment.facts
    reasons = _elisions(new, code, span, segment)
    if span.kind == "class" and isinstance(new, ast.ClassDef):
        reasons = [*_members(segment, new), *reasons]
    elif span.signature is not None and isinstance(new, FUNCTIONS):
        reasons = [*_signature(span.name, span.signature, signature_of(new.args)), *reasons]
    del old
    return Rejected("contract", "; ".join(reasons) + ".") if reasons else None


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
            yield from _signature(name, span.signature, signature_of(methods[span.name].args))


def _signature(name: str, old: Signature, new: Signature) -> Iterator[str]:
    """A call that fitted the old parameters must fit the new ones."""
    fits = (
        new.positional[: len(old.positional)] == old.positional
        and new.positional_only <= old.positional_only
        and set(old.keyword_only) <= {*new.keyword_only, *new.positional}
        and old.defaults <= new.defaults
        and {*new.positional, *new.keyword_only} - {*old.positional, *old.keyword_only} <= new.defaults
        and (not old.variadic or (bool(new.variadic) and len(new.positional) == len(old.positional)))
        and (not old.keywords or bool(new.keywords))
    )
    if not fits:
        yield f"{name} must keep its parameters {old.text}, not {new.text}"


def _elisions(new: Definition, code: str, span: Span, segment: Segment) -> list[str]:
    before = {s.name for s in (span, *segment.facts.methods) if s.stub}
    found = []
    for node in ast.walk(new):
        if isinstance(node, FUNCTIONS) and is_stub(node) and node.name not in before:
            found.append(f"the body of {node.name} is left out (line {node.lineno})")
        elif isinstance(node, (ast.If, ast.For, ast.While, ast.With)):
            found += [f"code is left out in line {n.lineno}" for n in node.body if is_ellipsis(n)]
    if isinstance(new, ast.ClassDef):
        found += [f"code is left out in line {n.lineno}" for n in new.body if is_ellipsis(n)]
        if is_stub(new) and not span.stub:
            found.append(f"the body of {new.name} is left out")
    else:
        found += [
            f"code is left out in line {n.lineno}" for n in new.body if is_ellipsis(n) and len(new.body) > 1
        ]
    known = segment.code
    for line, comment in comments(code):
        if _ELIDED.search(comment.lstrip("# ")) and comment not in known:
            found.append(f"the comment in line {line} stands for code that is left out ({comment[:60]})")
    return [f"{reason}: write the whole block" for reason in dict.fromkeys(found)][:3]


def comments(code: str) -> list[tuple[int, str]]:
    """Comments of code that compiles, with their lines."""
    if "#" not in code:
        return []
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return [(t.start[0], t.string) for t in tokens if t.type == tokenize.COMMENT]

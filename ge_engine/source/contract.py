"""What a rewritten block owes to its callers: name, parameters, members, and no elision."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ge_engine.outcome import Rejected
from ge_engine.source.addressing import assignments_of, definitions_of
from ge_engine.source.bindings import bindings
from ge_engine.source.elision import left_out
from ge_engine.source.facts import Signature, Span, signature_of
from ge_engine.source.segments import Segment
from ge_engine.source.syntax import FUNCTIONS, Assignment, Definition
from ge_engine.source.values import literal_kind

MAX_REASONS = 3


def check_contract(segment: Segment, span: Span, new: Definition | Assignment, code: str) -> Rejected | None:
    """Compare `new`, read from `code` (column 0, LF), with the definition `span` of `segment`.

    Every call that fitted the old parameters must fit the new ones; a class keeps its methods and
    attributes; a value stays a literal of its type; nothing stands for code that was left out. Stage
    "contract".
    """
    if isinstance(new, Assignment):
        broken = _value(segment, new, code)
        return Rejected("contract", broken) if broken else None
    reasons: list[str] = []
    if isinstance(new, ast.ClassDef):
        reasons += _members(segment, new)
    elif span.signature is not None:
        if isinstance(new, ast.AsyncFunctionDef) != span.awaited:
            reasons.append(f"{span.name} must {'stay' if span.awaited else 'not become'} async")
        reasons += _parameters(span.name, span.signature, signature_of(new.args))
    omitted = left_out(_old(segment, span), new, code, segment.code)
    reasons += dict.fromkeys(f"{what}: write the whole block" for what in omitted)
    return Rejected("contract", "; ".join(reasons[:MAX_REASONS]) + ".") if reasons else None


def _value(segment: Segment, new: Assignment, code: str) -> str:
    """What a value's new assignment breaks, "" for nothing."""
    old = assignments_of(segment.tree, segment.name)[-1]
    assert old.value is not None
    assert new.value is not None
    kind = literal_kind(old.value)
    if literal_kind(new.value) != kind:
        return f"it must stay a {kind}, of plain numbers and texts, without names and calls, and short."
    comment = segment.stand_in(new, code)
    return f"the comment {comment!r} stands for what is left out: write the whole value." if comment else ""


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


def _old(segment: Segment, span: Span) -> Definition:
    """The definition as the genome has it. A segment compiles, so it is there."""
    tree = ast.parse(segment.code)
    return definitions_of(tree, f"{segment.name}.{span.name}" if span.kind == "method" else span.name)[-1]

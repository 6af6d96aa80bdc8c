"""What one segment of a file holds: its definition, methods, parameters, names and digests."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ge_engine.source.bindings import COMPOUND, UNTOLD, bindings, bound_names, branches
from ge_engine.source.digests import digest, digest_of, tokens
from ge_engine.source.names import module_names
from ge_engine.source.syntax import (
    DEFINITIONS,
    FUNCTIONS,
    Definition,
    block_indent,
    end_line,
    first_line,
    indent_of,
    is_docstring,
    last_line,
    normalised,
    unparsed,
    without_docstring,
)
from ge_engine.source.values import value_name

Kind = Literal["class", "function", "method", "values"]


@dataclass(frozen=True, slots=True)
class Signature:
    """Parameters of a function: what callers rely on. `defaults` are the names that have one."""

    positional: tuple[str, ...]
    positional_only: int
    keyword_only: tuple[str, ...]
    variadic: str
    keywords: str
    defaults: frozenset[str]
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """A definition or value within a segment: lines from 1, decorators and the comments that end it included;
    `indent` of its own line and `inner` that its body adds. `decorators` by dotted name; `awaited`
    for an async function; `stub` when the body does nothing."""

    name: str
    kind: Kind
    first: int
    last: int
    indent: str
    inner: str
    digest: str
    decorators: tuple[str, ...]
    signature: Signature | None
    awaited: bool
    stub: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What a segment holds. `skeleton` is a class's digest with the bodies of its methods left out.

    `loads` are the names that it reads; `binds` the names of its outermost level with their meanings
    (see `bound_names`). `repeated` are the members of a class that are bound more than once, with lines;
    `conditional` its methods that stand in an `if` or the like: first line, last line, digest.
    """

    digest: str
    outer: Span | None
    methods: tuple[Span, ...]
    skeleton: str
    attributes: tuple[str, ...]
    repeated: Mapping[str, tuple[int, ...]]
    conditional: Mapping[str, tuple[int, int, str]]
    loads: frozenset[str]
    binds: Mapping[str, str]


def read_facts(tree: ast.Module, name: str, lines: list[str]) -> Facts:
    """Facts of a segment from its tree; `name` is that of the definition it holds, or ""."""
    node = next((n for n in tree.body if name and name == _block_name(n)), None)
    body = node.body if isinstance(node, ast.ClassDef) else []
    known = {id(n): tokens(n) for n in body if isinstance(n, FUNCTIONS)}
    spans = tuple(span_of(n, "method", lines, known[id(n)]) for n in body if isinstance(n, FUNCTIONS))
    written = [tokens(n, known) for n in tree.body if not is_docstring(n)]
    bound: dict[str, list[int]] = {}
    for member, line in bindings(body):
        bound.setdefault(member, []).append(line)
    direct = {s.name for s in spans}
    return Facts(
        digest="".join(map(digest_of, written)),
        outer=_outer(node, name, lines, written[0]) if node else None,
        methods=spans,
        skeleton=_skeleton(node, spans) if isinstance(node, ast.ClassDef) else "",
        attributes=tuple(m for m in bound if m not in direct),
        repeated={m: tuple(at) for m, at in bound.items() if len(at) > 1},
        conditional={m: at for m, at in _conditional(body, lines) if m not in direct},
        loads=frozenset(n.id for n in ast.walk(tree) if isinstance(n, ast.Name)),
        binds=_further(lines, {name: digest_of(written[0])}) if node else bound_names(tree.body),
    )


def _block_name(statement: ast.stmt) -> str:
    return statement.name if isinstance(statement, DEFINITIONS) else value_name(statement)


def _outer(node: ast.stmt, name: str, lines: list[str], written: str) -> Span:
    if isinstance(node, DEFINITIONS):
        return span_of(node, "class" if isinstance(node, ast.ClassDef) else "function", lines, written)
    return Span(
        name=name,
        kind="values",
        first=node.lineno,
        last=last_line(node),
        indent="",
        inner="",
        digest=digest_of(written),
        decorators=(),
        signature=None,
        awaited=False,
        stub=False,
    )


def _further(lines: list[str], binds: dict[str, str]) -> dict[str, str]:
    """With what a definition binds in its module besides its own name, by `global` or `:=`."""
    text = "".join(lines)
    if "global" in text or ":=" in text:
        binds = {**dict.fromkeys(module_names(normalised(text)), UNTOLD), **binds}
    return binds


def span_of(node: Definition, kind: Kind, lines: list[str], written: str) -> Span:
    """Where a definition stands and what it promises; `written` are its tokens."""
    first = first_line(node, lines)
    own = indent_of(lines[first - 1])
    return Span(
        name=node.name,
        kind=kind,
        first=first,
        last=end_line(node, lines),
        indent=own,
        inner=_inner(node, own, lines),
        digest=digest_of(written),
        decorators=decorator_names(node),
        signature=signature_of(node.args) if isinstance(node, FUNCTIONS) else None,
        awaited=isinstance(node, ast.AsyncFunctionDef),
        stub=is_stub(node),
    )


def signature_of(args: ast.arguments) -> Signature:
    positional = [a.arg for a in (*args.posonlyargs, *args.args)]
    defaults = set(positional[len(positional) - len(args.defaults) :]) if args.defaults else set()
    defaults |= {a.arg for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d is not None}
    return Signature(
        positional=tuple(positional),
        positional_only=len(args.posonlyargs),
        keyword_only=tuple(a.arg for a in args.kwonlyargs),
        variadic=args.vararg.arg if args.vararg else "",
        keywords=args.kwarg.arg if args.kwarg else "",
        defaults=frozenset(defaults),
        text=f"({unparsed(args)})",
    )


def decorator_names(node: Definition) -> tuple[str, ...]:
    """Dotted names of decorators, arguments left out."""
    return tuple(unparsed(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list)


def is_stub(node: Definition) -> bool:
    """True for a body of `pass`, `...` or `raise NotImplementedError`, docstring apart."""
    return all(_is_empty(statement) for statement in without_docstring(node.body))


def is_ellipsis(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and value.value is Ellipsis


def _conditional(body: list[ast.stmt], lines: list[str]) -> Iterator[tuple[str, tuple[int, int, str]]]:
    for statement in body:
        if isinstance(statement, COMPOUND):
            for part in branches(statement):
                for n in part:
                    if isinstance(n, FUNCTIONS):
                        yield n.name, (first_line(n, lines), end_line(n, lines), digest(n))
                yield from _conditional(part, lines)


def _skeleton(node: ast.ClassDef, spans: tuple[Span, ...]) -> str:
    rest = [n for n in without_docstring(node.body) if not isinstance(n, FUNCTIONS)]
    outer = ast.ClassDef(node.name, node.bases, node.keywords, rest, node.decorator_list)
    return digest(outer) + "/" + ",".join(span.name for span in spans)


def _is_empty(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Raise) and statement.exc is not None:
        raised = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
        return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    return is_ellipsis(statement)


def _inner(node: Definition, own: str, lines: list[str]) -> str:
    indent = block_indent(node, lines)
    return indent[len(own) :] if indent.startswith(own) and len(indent) > len(own) else ""

"""A file cut into segments of text: one for each top-level definition, the rest opaque.

A segment is parsed on demand and its facts are kept, so what a genome shares with its seed is never
looked at twice. Joined, the segments give the file's text back by construction.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import libcst as cst

from ge_engine import style
from ge_engine.syntax import (
    DEFINITIONS,
    FUNCTIONS,
    Definition,
    SyntaxFault,
    digest,
    digest_of,
    first_line,
    is_docstring,
    last_line,
    normalised,
    parse,
    split_lines,
    tokens,
    unparsed,
    without_docstring,
)

Kind = Literal["class", "function", "method"]
COMPOUND = (ast.If, ast.Try, ast.With, ast.For, ast.While)


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
    """A definition within a segment: lines from 1, decorators included; `indent` of its own line and
    `inner` that its body adds. `decorators` by dotted name; `awaited`
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


class Segment:
    """An immutable stretch of a file. `name` is "" for what is no definition."""

    def __init__(self, text: str, name: str = "", tree: ast.Module | None = None) -> None:
        self.text = text
        self.name = name
        self._tree = tree

    @cached_property
    def code(self) -> str:
        """The text with LF line ends."""
        return normalised(self.text)

    @cached_property
    def lines(self) -> list[str]:
        return split_lines(self.text)

    @cached_property
    def newlines(self) -> int:
        """How many line ends the text holds."""
        return sum(line.endswith(("\n", "\r")) for line in self.lines)

    @cached_property
    def facts(self) -> Facts:
        tree, self._tree = self._tree or ast.parse(self.code), None
        return read_facts(tree, self.name, self.lines)

    @cached_property
    def module(self) -> cst.Module | SyntaxFault:
        """The libcst tree of the code, or where libcst cannot give the code back."""
        tree = parse(self.code)
        module = tree if isinstance(tree, SyntaxFault) else style.read(self.code)
        if isinstance(module, SyntaxFault):
            return module
        printed = style.restyle(module, module.body, module.default_indent)
        if isinstance(printed, SyntaxFault):
            return printed
        printed, wanted = printed.replace("\x0c", ""), self.code.replace("\x0c", "")
        if printed != wanted:
            line = _first_difference(printed, wanted)
            return SyntaxFault(line, "libcst does not give this line back unchanged")
        return module

    @property
    def members(self) -> tuple[str, ...]:
        """Names of a class's methods and attributes, in order."""
        return (*(span.name for span in self.facts.methods), *self.facts.attributes)

    def method(self, name: str) -> Span | None:
        return next((span for span in self.facts.methods if span.name == name), None)

    @cached_property
    def method_codes(self) -> dict[str, str | SyntaxFault]:
        """Cache of `method_code`."""
        return {}

    def method_code(self, name: str) -> str | SyntaxFault:
        """The code at column 0 of a method of this class."""
        if name not in self.method_codes:
            module = self.module
            address = f"{self.name}.{name}"
            found = module if isinstance(module, SyntaxFault) else style.unnest(module, address)
            self.method_codes[name] = found
        return self.method_codes[name]

    def bounds(self, span: Span) -> tuple[int, int]:
        """Offsets in the text of a definition, from its first character to the end of its last line."""
        before = sum(map(len, self.lines[: span.first - 1]))
        start = self.lines[span.first - 1]
        first = before + len(start) - len(start.lstrip(" \t\x0c"))
        end = before + sum(map(len, self.lines[span.first - 1 : span.last]))
        return first, end - _line_end(self.lines[span.last - 1])


def read_facts(tree: ast.Module, name: str, lines: list[str]) -> Facts:
    """Facts of a segment from its tree; `name` is that of the definition it holds, or ""."""
    node = next((n for n in tree.body if isinstance(n, DEFINITIONS) and n.name == name), None)
    body = node.body if isinstance(node, ast.ClassDef) else []
    known = {id(n): tokens(n) for n in body if isinstance(n, FUNCTIONS)}
    spans = tuple(span_of(n, "method", lines, known[id(n)]) for n in body if isinstance(n, FUNCTIONS))
    written = [tokens(n, known) for n in tree.body if not is_docstring(n)]
    bound: dict[str, list[int]] = {}
    for member, line in bindings(body):
        bound.setdefault(member, []).append(line)
    direct = {s.name for s in spans}
    kind: Kind = "class" if isinstance(node, ast.ClassDef) else "function"
    return Facts(
        digest="".join(map(digest_of, written)),
        outer=span_of(node, kind, lines, written[0]) if node else None,
        methods=spans,
        skeleton=_skeleton(node, spans) if isinstance(node, ast.ClassDef) else "",
        attributes=tuple(m for m in bound if m not in direct),
        repeated={m: tuple(at) for m, at in bound.items() if len(at) > 1},
        conditional={m: at for m, at in _conditional(body) if m not in direct},
        loads=frozenset(n.id for n in ast.walk(tree) if isinstance(n, ast.Name)),
        binds={name: digest_of(written[0])} if node else bound_names(tree.body),
    )


def span_of(node: Definition, kind: Kind, lines: list[str], written: str) -> Span:
    """Where a definition stands and what it promises; `written` are its tokens."""
    first = first_line(node)
    own = _indent(lines[first - 1])
    return Span(
        name=node.name,
        kind=kind,
        first=first,
        last=last_line(node),
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


def bindings(body: list[ast.stmt]) -> Iterator[tuple[str, int]]:
    """Names that a class or module body binds by definition or assignment, with lines, in order."""
    for statement in body:
        if isinstance(statement, DEFINITIONS):
            yield statement.name, first_line(statement)
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                yield from ((n.id, statement.lineno) for n in _target_names(target))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id, statement.lineno
        elif isinstance(statement, COMPOUND):
            for part in branches(statement):
                yield from bindings(part)


def bound_names(body: list[ast.stmt]) -> dict[str, str]:
    """Names that a module's statements bind, each with what it means; "*" for a star import.

    For an import that is "@" and the dotted path of the object, however it is written; for anything
    else the statement's digest. `import a.b` also gives the name "a.b".
    """
    bound: dict[str, str] = {}
    for statement in body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            bound.update((name, meaning) for name, meaning, _ in _imports(statement))
        elif isinstance(statement, COMPOUND):
            for part in branches(statement):
                bound.update(bound_names(part))
        else:
            names = [name for name, _ in bindings([statement])]
            bound.update(dict.fromkeys(names, digest(statement) if names else ""))
    return bound


def import_statements(body: list[ast.stmt]) -> dict[str, str]:
    """For each name that imports in `body` bind, a statement that binds it alone."""
    found: dict[str, str] = {}
    for statement in body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            found.update((name, line) for name, _, line in _imports(statement))
    return found


def imported(line: str) -> frozenset[str]:
    """Names that one import statement binds."""
    return frozenset(bound_names(ast.parse(line).body))


def _imports(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str, str]]:
    """Name, meaning and statement of everything that an import binds."""
    for alias in statement.names:
        renamed = f" as {alias.asname}" if alias.asname and alias.asname != alias.name else ""
        if isinstance(statement, ast.ImportFrom):
            source = "." * statement.level + (statement.module or "")
            if source != "__future__":
                path = source + alias.name if source.endswith(".") else f"{source}.{alias.name}"
                yield alias.asname or alias.name, f"@{path}", f"from {source} import {alias.name}{renamed}"
        elif alias.asname:
            yield alias.asname, f"@{alias.name}", f"import {alias.name}{renamed}"
        else:
            root = alias.name.partition(".")[0]
            yield root, f"@{root}", f"import {root}"
            if root != alias.name:
                yield alias.name, f"@{alias.name}", f"import {alias.name}"


def branches(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The statement lists nested directly in a compound statement."""
    for name in ("body", "orelse", "finalbody"):
        part = getattr(statement, name, None)
        if part:
            yield part
    for handler in getattr(statement, "handlers", ()):
        yield handler.body


def _target_names(target: ast.expr) -> list[ast.Name]:
    if isinstance(target, (ast.Tuple, ast.List)):
        return [n for element in target.elts for n in _target_names(element)]
    return [target] if isinstance(target, ast.Name) else []


def _conditional(body: list[ast.stmt]) -> Iterator[tuple[str, tuple[int, int, str]]]:
    for statement in body:
        if isinstance(statement, COMPOUND):
            for part in branches(statement):
                for n in part:
                    if isinstance(n, FUNCTIONS):
                        yield n.name, (first_line(n), last_line(n), digest(n))
                yield from _conditional(part)


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


def is_ellipsis(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and value.value is Ellipsis


def _inner(node: Definition, own: str, lines: list[str]) -> str:
    line = lines[first_line(node.body[0]) - 1]
    indent = _indent(line)
    return indent[len(own) :] if indent.startswith(own) and len(indent) > len(own) else ""


def _indent(line: str) -> str:
    line = line.lstrip("\x0c")
    return line[: len(line) - len(line.lstrip(" \t"))]


def _line_end(line: str) -> int:
    return len(line) - len(line.rstrip("\r\n"))


def _first_difference(a: str, b: str) -> int:
    for number, (one, other) in enumerate(zip(a.split("\n"), b.split("\n")), 1):
        if one != other:
            return number
    return min(a.count("\n"), b.count("\n")) + 1

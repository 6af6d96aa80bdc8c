"""Names that statements bind, and what they mean: how two files' names are told apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from ge_engine.source.digests import digest
from ge_engine.source.syntax import DEFINITIONS

COMPOUND = (ast.If, ast.Try, ast.TryStar, ast.With, ast.For, ast.While, ast.Match)
UNTOLD = "?"
"""The meaning of a name that is bound in a way of which nothing more is known: equal to no other."""


def bindings(body: list[ast.stmt]) -> Iterator[tuple[str, int]]:
    """Names that a class or module body binds by definition or assignment, with lines, in order."""
    for statement in body:
        if isinstance(statement, DEFINITIONS):
            yield statement.name, statement.lineno
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

    For an import that is "@" and the dotted path of the object, however it is written; for anything else the
    statement's digest, of several statements the digests of all. `import a.b` also gives the name "a.b".
    """
    bound: dict[str, str] = {}
    for statement in body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            merge(bound, {name: meaning for name, meaning, _ in _imports(statement)})
            continue
        names = dict.fromkeys(scope_names(statement), "")
        if isinstance(statement, COMPOUND):
            for part in branches(statement):
                inner = bound_names(part)
                merge(bound, inner)
                names = {name: "" for name in names if name not in inner}
        merge(bound, dict.fromkeys(names, digest(statement) if names else ""))
    return bound


def merge(bound: dict[str, str], more: Mapping[str, str]) -> None:
    """Add later bindings. A name that was imported means what it is bound to last; any other all of it, since
    `S = 1` and `S = S * 3` make it what it is together."""
    for name, meaning in more.items():
        before = bound.get(name, meaning)
        together = before != meaning and not before.startswith(("@", UNTOLD))
        bound[name] = f"{before}+{meaning}" if together else meaning


def scope_names(statement: ast.AST) -> Iterator[str]:
    """Every name that one statement binds in its own scope, in order, some several times; not those of
    functions, classes, lambdas and comprehensions within it, but what `:=` in a comprehension binds."""
    stack: list[ast.AST] = [statement]
    while stack:
        node = stack.pop()
        if isinstance(node, (*DEFINITIONS, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        stack += reversed(list(_same_scope(node)))


def _same_scope(node: ast.AST) -> Iterator[ast.AST]:
    """The children of a node that are evaluated in its own scope."""
    hidden: tuple[str, ...] = ()
    if isinstance(node, (*DEFINITIONS, ast.Lambda)):
        hidden = ("body", "type_params")
    elif isinstance(node, ast.comprehension):
        hidden = ("target",)
    elif type(node).__name__ == "TypeAlias":
        hidden = ("value", "type_params")
    for name, value in ast.iter_fields(node):
        if name not in hidden:
            yield from (n for n in (value if isinstance(value, list) else [value]) if isinstance(n, ast.AST))


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


def branches(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The statement lists nested directly in a compound statement."""
    for name in ("body", "orelse", "finalbody"):
        part = getattr(statement, name, None)
        if part:
            yield part
    for handler in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield handler.body


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


def _target_names(target: ast.expr) -> list[ast.Name]:
    if isinstance(target, (ast.Tuple, ast.List)):
        return [n for element in target.elts for n in _target_names(element)]
    if isinstance(target, ast.Starred):
        return _target_names(target.value)
    return [target] if isinstance(target, ast.Name) else []

"""Names that statements bind, and what they mean: how two files' names are told apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ge_engine.code.syntax import DEFINITIONS, digest, first_line

COMPOUND = (ast.If, ast.Try, ast.With, ast.For, ast.While)


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


def branches(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The statement lists nested directly in a compound statement."""
    for name in ("body", "orelse", "finalbody"):
        part = getattr(statement, name, None)
        if part:
            yield part
    for handler in getattr(statement, "handlers", ()):
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
    return [target] if isinstance(target, ast.Name) else []

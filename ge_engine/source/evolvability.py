"""Which definitions of a file cannot be evolved, and why: bound twice, conditional, or replaced later on."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ge_engine.source.bindings import COMPOUND, branches
from ge_engine.source.facts import is_stub
from ge_engine.source.syntax import DEFINITIONS, FUNCTIONS, Definition, is_main_guard


def module_reasons(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Addresses that the whole file makes not evolvable, each with its reason."""
    defined: dict[str, list[int]] = {}
    for node, _ in definitions_in(tree.body):
        defined.setdefault(node.name, []).append(node.lineno)
    for name, at in defined.items():
        if len(at) > 1:
            yield name, f"the name is defined {len(at)} times (lines {', '.join(map(str, at))})"
    for node, why in definitions_in(tree.body):
        if why and len(defined[node.name]) == 1:
            yield node.name, why
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            loads = {n.id for n in ast.walk(statement.value) if isinstance(n, ast.Name)}
            for target in statement.targets:
                if isinstance(target, ast.Name) and target.id in defined and target.id not in loads:
                    yield target.id, f"the name is assigned again in line {statement.lineno}"
    yield from _replaced_stubs(tree)


def definitions_in(body: list[ast.stmt], why: str = "") -> Iterator[tuple[Definition, str]]:
    """Definitions of a module with the reason that their place gives, "" at the top level."""
    for statement in body:
        if isinstance(statement, DEFINITIONS):
            yield statement, why
        elif isinstance(statement, COMPOUND):
            place = "it stands in the main guard" if is_main_guard(statement) else ""
            line = statement.lineno
            inner = why or place or f"it is defined conditionally (`{_keyword(statement)}` in line {line})"
            for part in branches(statement):
                yield from definitions_in(part, inner)


def _keyword(statement: ast.stmt) -> str:
    return type(statement).__name__.lower()


def _replaced_stubs(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Methods that `setattr(Class, name, ...)` or `Class.name = ...` replaces when the file is run."""
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 3:
            owner = node.args[0]
            if node.func.id == "setattr" and isinstance(owner, ast.Name) and owner.id in classes:
                yield from _set_attribute(classes[owner.id], node.args[1], node.lineno)
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                    name = target.value.id
                    if name in classes:
                        yield (
                            f"{name}.{target.attr}",
                            f"it is replaced by assignment in line {statement.lineno}",
                        )


def _set_attribute(owner: ast.ClassDef, name: ast.expr, line: int) -> Iterator[tuple[str, str]]:
    why = f"it is replaced by setattr in line {line}"
    if isinstance(name, ast.Constant):
        yield f"{owner.name}.{name.value!s}", why
        return
    for node in owner.body:
        if isinstance(node, FUNCTIONS) and is_stub(node):
            yield f"{owner.name}.{node.name}", why

"""Names that a file binds through dictionaries and modules, such as `globals()["x"] = ...`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ge_engine.source.syntax import DEFINITIONS

TRIGGERS = ("globals", "locals", "vars", "modules", "builtins", "exec")
_NAMESPACES = frozenset({"globals", "locals", "vars"})
_SCOPES = (*DEFINITIONS, ast.Lambda)
_READING = frozenset({"get", "items", "keys", "values", "copy"})


def dynamic_names(tree: ast.Module, text: str) -> frozenset[str]:
    """The names that `tree`, whose source is `text`, binds in ways that no symbol table shows; "*" when there
    are some that cannot be told."""
    if not any(word in text for word in TRIGGERS):
        return frozenset()
    found: set[str] = set()
    read = {id(n) for f in ast.walk(tree) if isinstance(f, _SCOPES) for n in ast.walk(f) if _is_local(n)}
    for node in ast.walk(tree):
        found.update(_bound(node, read))
    return frozenset(found)


def _bound(node: ast.AST, read: set[int]) -> Iterator[str]:
    """What `node` binds, parents before children; `read` collects the namespaces that are accounted for."""
    if isinstance(node, ast.Subscript) and _is_namespace(node.value):
        read.add(id(node.value))
        if not isinstance(node.ctx, ast.Load):
            yield _constant(node.slice)
    elif isinstance(node, ast.Attribute) and _is_namespace(node.value) and node.attr in _READING:
        read.add(id(node.value))
    elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and _is_module(node.value):
        yield node.attr
    elif isinstance(node, ast.Call):
        yield from _called(node, read)


def _called(node: ast.Call, read: set[int]) -> Iterator[str]:
    function = node.func
    executed = isinstance(function, ast.Name) and function.id == "exec" and len(node.args) == 1
    if executed or (_is_namespace(node) and id(node) not in read):
        yield "*"
    elif (
        isinstance(function, ast.Name)
        and function.id == "setattr"
        and len(node.args) == 3
        and _is_module(node.args[0])
    ):
        yield _constant(node.args[1])
    elif (
        isinstance(function, ast.Attribute)
        and function.attr == "update"
        and _is_namespace(function.value)
        and not node.args
    ):
        read.add(id(function.value))
        yield from (keyword.arg or "*" for keyword in node.keywords)


def _is_namespace(node: ast.AST) -> bool:
    """`globals()`, and `vars()` or `locals()`, which are the same outside functions."""
    return (
        isinstance(node, ast.Call)
        and not node.args
        and isinstance(node.func, ast.Name)
        and node.func.id in _NAMESPACES
    )


def _is_local(node: ast.AST) -> bool:
    return (
        _is_namespace(node)
        and isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id != "globals"
    )


def _is_module(node: ast.AST) -> bool:
    """`builtins` or `sys.modules[...]`."""
    if isinstance(node, ast.Name):
        return node.id in ("builtins", "__builtins__")
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "modules"
    )


def _constant(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "*"

"""Values of a module: names that it gives a literal, once: `WIDTH = 64`, `CFG = [64, "M", 128]`."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

from ge_engine.source.bindings import scope_names
from ge_engine.source.syntax import Assignment, assigned_name, last_line
from ge_engine.source.task_facts import decided_elsewhere

_LITERAL = (
    ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.UnaryOp, ast.BinOp,
    ast.operator, ast.unaryop, ast.expr_context,
)  # fmt: skip
MOST_NODES = 500
"""Nodes of the syntax tree of a value."""
_CONTAINERS = (ast.List, ast.Tuple, ast.Set, ast.Dict)


def module_values(tree: ast.Module) -> dict[str, Assignment]:
    """The values of a module by name: bound by one statement alone, which has its lines for itself."""
    found = {
        n: node for node in _alone(tree.body) if isinstance(node, Assignment) and (n := value_name(node))
    }
    if not found:
        return {}
    bound = Counter(name for statement in tree.body for name in scope_names(statement))
    bound.update(name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names)
    return {name: node for name, node in found.items() if bound[name] == 1}


def unread(tree: ast.Module, names: Iterable[str]) -> set[str]:
    """Those of `names` that no code of the module reads."""
    loads = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    return set(names).difference(node.id for node in loads)


def names_elsewhere(statements: Iterable[ast.stmt]) -> set[str]:
    """Names by which statements may read what other modules hold: `config.WIDTH`, `from config import WIDTH`,
    and any name where there is a star import."""
    nodes = [node for statement in statements for node in ast.walk(statement)]
    aliases = {alias.name for n in nodes if isinstance(n, ast.ImportFrom) for alias in n.names}
    loads = {n.id for n in nodes if isinstance(n, ast.Name)} if "*" in aliases else set[str]()
    return aliases | loads | {n.attr for n in nodes if isinstance(n, ast.Attribute)}


def value_name(statement: ast.stmt) -> str:
    """The name that a statement gives a literal, "" where that is none, or nothing that a model may choose:
    `__all__`, or what the task, the training or the machine decides."""
    name = assigned_name(statement)
    if not name or (name.startswith("__") and name.endswith("__")) or decided_elsewhere(name):
        return ""
    assert isinstance(statement, Assignment)
    return name if statement.value is not None and literal_kind(statement.value) not in ("", "None") else ""


def literal_kind(value: ast.expr) -> str:
    """ "number", "list", "dict", ... of numbers, texts, containers of them and arithmetic with them; "" of
    anything else, and of what is too long to be chosen: a table of data."""
    nodes = list(islice(ast.walk(value), MOST_NODES + 1))
    plain = len(nodes) <= MOST_NODES and all(isinstance(n, _LITERAL) and not _is_open(n) for n in nodes)
    return _kind(value) if plain else ""


def _is_open(node: ast.AST) -> bool:
    """`...`, or a dictionary that takes in another one."""
    if isinstance(node, ast.Constant):
        return node.value is Ellipsis
    return isinstance(node, ast.Dict) and None in node.keys


def _kind(value: ast.expr) -> str:
    if isinstance(value, _CONTAINERS):
        return type(value).__name__.lower()
    if isinstance(value, ast.Constant):
        numeric = isinstance(value.value, (int, float, complex)) and not isinstance(value.value, bool)
        return "number" if numeric else "None" if value.value is None else type(value.value).__name__
    parts = [value.left, value.right] if isinstance(value, ast.BinOp) else []
    return next((kind for part in parts if (kind := _kind(part)) != "number"), "number")


def _alone(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The statements that share no line with another."""
    lines = Counter(line for one in body for line in {one.lineno, last_line(one)})
    return [one for one in body if lines[one.lineno] == lines[last_line(one)] == 1]

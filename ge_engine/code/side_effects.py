"""What statements of a reply change besides the names that they bind: lists filled, names registered.

A block that needs a name needs also what fills it; since only definitions come along, such a reply is
refused.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from ge_engine.code.names import read_names
from ge_engine.code.syntax import DEFINITIONS, Definition, unparsed

MUTATORS = frozenset(
    {"append", "appendleft", "insert", "extend", "extendleft", "add", "update", "setdefault", "register"}
    | {"pop", "popleft", "popitem", "remove", "discard", "clear", "sort", "reverse", "intersection_update"}
    | {"difference_update", "__setitem__", "__setattr__", "__delitem__"}
)
"""Methods that change their object, also where somebody takes what they return."""
_HARMLESS = frozenset(
    {"print", "len", "repr", "str", "type", "isinstance", "help", "id", "sorted", "list", "dict"}
)


def changed_names(statement: ast.stmt, definitions: Mapping[str, Definition]) -> frozenset[str]:
    """Names of things that `statement` changes when it is run, itself or through the `definitions` of the
    reply that it calls; for a definition, through its decorators."""
    found: set[str] = set()
    roots: list[ast.AST] = [statement]
    if isinstance(statement, DEFINITIONS):
        roots = [ast.Expr(_applied(decorator)) for decorator in statement.decorator_list]
    seen: set[str] = set()
    while roots:
        root = roots.pop()
        inner = set(_changes(root))
        if isinstance(root, DEFINITIONS):
            inner &= read_names(unparsed(root))
        found |= inner
        for name in set(_called(root)) & definitions.keys() - seen:
            seen.add(name)
            roots.append(definitions[name])
    return frozenset(found)


def decorated_by(statement: ast.stmt) -> list[str]:
    """The names that the decorators of a definition begin with."""
    decorators = statement.decorator_list if isinstance(statement, DEFINITIONS) else []
    return [name for decorator in decorators for name in _base(_applied(decorator).func)]


def is_main_guard(statement: ast.stmt) -> bool:
    """`if __name__ == "__main__":`, which does not run when the file is imported."""
    return isinstance(statement, ast.If) and any(
        isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(statement.test)
    )


def _changes(root: ast.AST) -> Iterator[str]:
    for node in ast.walk(root):
        if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            yield from _base(node)
        elif isinstance(node, ast.AugAssign):
            yield from _base(node.target)
        elif isinstance(node, ast.Global):
            yield from node.names
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield from _thrown_away(node.value)
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS
        ):
            yield from _base(node.func)


def _thrown_away(call: ast.Call) -> Iterator[str]:
    """What a call is for whose value nobody takes: its object, and what it is given."""
    if isinstance(call.func, ast.Attribute):
        yield from _base(call.func)
    elif isinstance(call.func, ast.Name) and call.func.id in _HARMLESS:
        return
    for given in (*call.args, *(keyword.value for keyword in call.keywords)):
        if isinstance(given, ast.Name):
            yield given.id


def _applied(decorator: ast.expr) -> ast.Call:
    """A decorator as the call that it is."""
    return decorator if isinstance(decorator, ast.Call) else ast.Call(decorator, [], [])


def _called(root: ast.AST) -> Iterator[str]:
    for node in ast.walk(root):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id


def _base(node: ast.AST) -> Iterator[str]:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id

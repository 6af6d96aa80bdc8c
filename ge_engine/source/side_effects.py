"""What statements of a reply change besides the names that they bind: lists filled, names registered.

A block that needs a name needs also what fills it; since only definitions come along, such a reply is
refused.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from ge_engine.source.names import read_names
from ge_engine.source.syntax import DEFINITIONS, Definition, unparsed

MUTATORS = frozenset(
    {"append", "appendleft", "insert", "extend", "extendleft", "add", "update", "setdefault", "register"}
    | {"pop", "popleft", "popitem", "remove", "discard", "clear", "sort", "reverse", "intersection_update"}
    | {"difference_update", "__setitem__", "__setattr__", "__delitem__"}
)
"""Methods that change their object, also where somebody takes what they return."""
_HARMLESS = frozenset(
    {"print", "len", "repr", "str", "type", "isinstance", "help", "id", "sorted", "list", "dict"}
)


class SideEffects:
    """What statements of a reply change when they run, themselves or through its `definitions` that they
    call."""

    def __init__(self, definitions: Mapping[str, Definition]) -> None:
        self._definitions = definitions
        self._own: dict[str, frozenset[str]] = {}

    def changed_by(self, statement: ast.stmt) -> frozenset[str]:
        """Names of things that the statement changes; for a definition, through its decorators."""
        roots: list[ast.AST] = [statement]
        if isinstance(statement, DEFINITIONS):
            roots = [ast.Expr(_applied(decorator)) for decorator in statement.decorator_list]
        found = {name for root in roots for name in _changes(root)}
        queue = [name for root in roots for name in _called(root)]
        seen: set[str] = set()
        while queue:
            name = queue.pop()
            if name in self._definitions and name not in seen:
                seen.add(name)
                found |= self._of_definition(name)
                queue += _called(self._definitions[name])
        return frozenset(found)

    def _of_definition(self, name: str) -> frozenset[str]:
        """What calling it changes of its module."""
        if name not in self._own:
            node = self._definitions[name]
            self._own[name] = frozenset(_changes(node)) & read_names(unparsed(node))
        return self._own[name]


def decorated_by(statement: ast.stmt) -> list[str]:
    """The names that the decorators of a definition begin with."""
    decorators = statement.decorator_list if isinstance(statement, DEFINITIONS) else []
    return [name for decorator in decorators for name in _base(_applied(decorator).func)]


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

"""How much larger compiling makes code: a `finally` is written out once for each way out of its `try`.

Bodies of `finally` within one another double with each level, and each `return`, `break` and `continue` that
leaves them writes them out again. No other statement multiplies (measured on CPython 3.11 to 3.13: `with`,
`except ... as`, loops and their tests grow by a constant for each way out and level).
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

MAX_EXPANSION = 100_000
"""Nodes that may be written out besides those of the text. `compile()` takes up to 1 kB for each
(CPython 3.13; 3.11 takes 150 bytes)."""

_EXITS = (ast.Return, ast.Break, ast.Continue)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(slots=True)
class _Size:
    """Of a part of the tree once it is compiled: nodes, ways out, and the nodes that the text has not."""

    nodes: int = 0
    exits: int = 0
    extra: int = 0

    def add(self, other: _Size, times: int = 1) -> None:
        self.nodes += times * other.nodes
        self.exits += times * other.exits
        self.extra += times * other.extra + (times - 1) * (other.nodes - other.extra)


def expansive(tree: ast.AST) -> int:
    """The line of the `finally` with which compiling writes out too much, 0 when there is none."""
    sizes: dict[int, _Size] = {}
    for node in reversed(list(ast.walk(tree))):
        size = sizes[id(node)] = _size(node, sizes)
        if size.extra > MAX_EXPANSION:
            return _first_final(node)
    return 0


def _size(node: ast.AST, sizes: dict[int, _Size]) -> _Size:
    """The size of `node`, whose children's are known."""
    size = _Size(1, int(isinstance(node, _EXITS)))
    last = node.finalbody if isinstance(node, (ast.Try, ast.TryStar)) else []
    again = {id(statement) for statement in last}
    for child in ast.iter_child_nodes(node):
        if id(child) not in again:
            size.add(sizes[id(child)])
    ways = 2 + size.exits
    for statement in last:
        size.add(sizes[id(statement)], ways)
    if isinstance(node, _SCOPES):
        size.exits = 0
    return size


def _first_final(node: ast.AST) -> int:
    return next(
        n.finalbody[0].lineno for n in ast.walk(node) if isinstance(n, (ast.Try, ast.TryStar)) and n.finalbody
    )

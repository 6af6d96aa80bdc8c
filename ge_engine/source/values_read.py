"""Which values of files what runs reads: `WIDTH = 64`, where a class that runs names it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping

from ge_engine.source.addresses import address_in, within
from ge_engine.source.syntax import DEFINITIONS, is_main_guard
from ge_engine.source.values import module_values, names_elsewhere, unread


def values_read(sources: Mapping[str, bytes], executed: Collection[str]) -> set[str]:
    """The addresses of the values in files by name ("" for the only one) that their statements read, or those
    of functions and classes that are `executed`, in their own file or in another one."""
    trees = {name: ast.parse(source) for name, source in sources.items()}
    ran = {name: _ran(tree, within(name, executed)) for name, tree in trees.items()}
    elsewhere = {name: names_elsewhere(statements) for name, statements in ran.items()}
    found = set[str]()
    for name, tree in trees.items():
        values = set(module_values(tree))
        by_others = set[str]().union(*(names for other, names in elsewhere.items() if other != name))
        own = values - unread(ast.Module(ran[name], []), values)
        found |= {address_in(name, value) for value in own | (values & by_others)}
    return found


def _ran(tree: ast.Module, executed: Collection[str]) -> list[ast.stmt]:
    return [statement for statement in tree.body if _runs(statement, executed)]


def _runs(statement: ast.stmt, executed: Collection[str]) -> bool:
    if isinstance(statement, DEFINITIONS):
        return statement.name in executed
    return not is_main_guard(statement)

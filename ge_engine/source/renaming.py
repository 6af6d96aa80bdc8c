"""Helpers of a reply under new names, and which of its names may be renamed."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping

import libcst as cst

from ge_engine.outcome import Rejected
from ge_engine.source import style
from ge_engine.source.style import Statement
from ge_engine.source.syntax import DEFINITIONS, SyntaxFault


def renamable_names(tree: ast.Module) -> frozenset[str]:
    """Names that are safe to rename: each is read only, apart from its one definition or import at the
    outermost level."""
    own: dict[int, str] = {}
    for node in tree.body:
        if isinstance(node, DEFINITIONS):
            own[id(node)] = node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            own |= {id(alias): alias.asname or alias.name for alias in node.names}
    once = {name for name, count in Counter(own.values()).items() if count == 1}
    return frozenset(once.difference(_fixed_names(tree, own)))


def _fixed_names(tree: ast.Module, own: Mapping[int, str]) -> Iterator[str]:
    """Names that stand where a renaming does not reach; `own` are those of outermost definitions and imports,
    by the `id` of their nodes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                yield node.id
        elif not isinstance(node, (ast.Attribute, ast.keyword, ast.Constant)):
            for value in vars(node).values():
                written = value if isinstance(value, list) else [value]
                yield from (v for v in written if isinstance(v, str) and v != own.get(id(node)))


def fresh_name(name: str, taken: set[str]) -> str:
    """The name with the first number behind it that is not taken."""
    number = 2
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"


def print_helpers(
    module: cst.Module, places: Mapping[str, int], new_names: Mapping[str, str], indent: str
) -> tuple[str, ...] | Rejected:
    """The code at column 0 of the statements at `places`, with the comments directly above each."""
    statements = list(style.statements(module))
    printed = []
    for at in sorted(places.values()):
        node = renamed(statements[at], new_names)
        text = style.restyle(module, [node], indent) if not isinstance(node, SyntaxFault) else node
        if isinstance(text, SyntaxFault):
            return Rejected("compile", f"{text}.")
        printed.append("\n".join([*style.comments_above(module, statements[at]), text]))
    return tuple(printed)


@style.supported
def renamed(node: Statement, new_names: Mapping[str, str]) -> Statement:
    """The node with the helpers' new names in it."""
    changed = node.visit(_Rename(new_names)) if new_names else node
    assert isinstance(changed, (cst.SimpleStatementLine, cst.BaseCompoundStatement))
    return changed


class _Rename(cst.CSTTransformer):
    """Renames variables; attribute names and keywords of calls keep theirs."""

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__()
        self._names = names

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        new = self._names.get(style.plain(original_node.value))
        return updated_node if new is None else updated_node.with_changes(value=new)

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        return updated_node.with_changes(attr=original_node.attr)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        return updated_node.with_changes(keyword=original_node.keyword)

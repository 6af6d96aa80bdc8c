"""What a rewritten block brings along: helper definitions and imports, fitted to the genome.

A name that the genome binds to the same thing is left behind. A helper whose name the genome binds to
something else gets a new name where that is safe; the genome's own definition is never overwritten.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

import libcst as cst

from ge_engine.code import style
from ge_engine.code.bindings import bound_names, import_statements
from ge_engine.code.names import free_names
from ge_engine.code.style import Statement
from ge_engine.code.syntax import DEFINITIONS, SyntaxFault, unparsed
from ge_engine.outcome import Rejected


@dataclass(frozen=True, slots=True)
class Companions:
    """Names of helpers in the order of the reply, import statements, and helpers' new names."""

    helpers: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    renamed: Mapping[str, str] | None = None


def find_companions(
    tree: ast.Module, target: str, own: frozenset[str], known: Mapping[str, str]
) -> Companions | Rejected:
    """What the block needs of the statements around it in the reply.

    `tree` is the reply, `target` the block's code, `own` the block's names, `known` what the genome binds.
    """
    meanings = {name: m for name, m in bound_names(tree.body).items() if name not in own}
    if not meanings:
        return Companions()
    statements = import_statements(tree.body)
    offered = {name: _source(tree, name) for name in meanings if name not in statements}
    needed = _reachable(target, meanings, offered)
    helpers: list[str] = []
    imports: list[str] = []
    renamed: dict[str, str] = {}
    for name in meanings:
        if name not in needed or known.get(name) == meanings[name] or _imported(name, meanings, known):
            continue
        if name in statements:
            if name in known:
                return Rejected("contract", _collision(name, f"import {name} under another name"))
            imports.append(statements[name])
        elif not offered[name]:
            return Rejected("contract", f"the helper {name} must be one definition or one plain assignment.")
        else:
            if name in known:
                if not _renamable(tree, name):
                    return Rejected("contract", _collision(name, "give the helper another name"))
                renamed[name] = _fresh(name, {*known, *meanings, *renamed.values()})
            helpers.append(name)
    return Companions(tuple(helpers), tuple(sorted(imports)), renamed)


def print_helpers(module: cst.Module, companions: Companions, indent: str) -> tuple[str, ...] | Rejected:
    """The helpers' code at column 0."""
    last = {_cst_name(statement): statement for statement in module.body}
    printed = []
    for name in companions.helpers:
        node = renamed(last[name], companions)
        text = style.restyle(module, [node], indent) if not isinstance(node, SyntaxFault) else node
        if isinstance(text, SyntaxFault):
            return Rejected("compile", f"{text}.")
        printed.append(text)
    return tuple(printed)


def renamed(node: Statement, companions: Companions) -> Statement | SyntaxFault:
    """The node with the helpers' new names in it."""
    if not companions.renamed:
        return node
    try:
        changed = node.visit(_Rename(companions.renamed))
    except RecursionError:
        return SyntaxFault(0, "the code nests too deeply to be renamed")
    assert isinstance(changed, (cst.SimpleStatementLine, cst.BaseCompoundStatement))
    return changed


class _Rename(cst.CSTTransformer):
    """Renames variables; attribute names and keywords of calls keep theirs."""

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__()
        self._names = names

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        new = self._names.get(original_node.value)
        return updated_node if new is None else updated_node.with_changes(value=new)

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        return updated_node.with_changes(attr=original_node.attr)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        return updated_node.with_changes(keyword=original_node.keyword)


def _reachable(target: str, meanings: Mapping[str, str], offered: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    queue = [target]
    while queue:
        free = free_names(queue.pop())
        for name in meanings:
            if name not in found and name.partition(".")[0] in free:
                found.add(name)
                queue += [offered[name]] if offered.get(name) else []
    return found


def _source(tree: ast.Module, name: str) -> str:
    """Code of the statement that binds `name` alone, "" when there is none of that kind."""
    for statement in reversed(tree.body):
        if isinstance(statement, DEFINITIONS) and statement.name == name:
            return unparsed(statement)
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and list(bound_names([statement])) == [name]:
            return unparsed(statement)
    return ""


def _imported(name: str, meanings: Mapping[str, str], known: Mapping[str, str]) -> bool:
    """True for `import a.b` where the genome has imported a.b under whatever name."""
    return "." in name and meanings[name] in known.values()


def _collision(name: str, advice: str) -> str:
    return f"{name} already means something else in this file: {advice}."


def _renamable(tree: ast.Module, name: str) -> bool:
    """Safe to rename: `name` is read only, apart from its one definition at the outermost level."""
    definitions = [n for n in tree.body if isinstance(n, DEFINITIONS) and n.name == name]
    if len(definitions) != 1:
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load):
            return False
        if node is definitions[0] or isinstance(node, (ast.Name, ast.Attribute, ast.keyword, ast.Constant)):
            continue
        if any(value == name or (isinstance(value, list) and name in value) for value in vars(node).values()):
            return False
    return True


def _fresh(name: str, taken: set[str]) -> str:
    number = 2
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"


def _cst_name(statement: cst.CSTNode) -> str:
    if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
        return statement.name.value
    if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1:
        small = statement.body[0]
        target = small.targets[0].target if isinstance(small, cst.Assign) else getattr(small, "target", None)
        return target.value if isinstance(target, cst.Name) else ""
    return ""

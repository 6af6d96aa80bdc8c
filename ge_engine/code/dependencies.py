"""What a rewritten block brings along: helper definitions and imports, fitted to the genome.

A name that the genome binds to the same thing is left behind. A helper whose name the genome binds to
something else gets a new name where that is safe; the genome's own definition is never overwritten.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import libcst as cst

from ge_engine.code import style
from ge_engine.code.bindings import bound_names, import_statements, scope_names
from ge_engine.code.names import BUILTINS, read_names
from ge_engine.code.segments import Segment, reads, statement_digests
from ge_engine.code.side_effects import changed_names, decorated_by, is_main_guard
from ge_engine.code.style import Statement
from ge_engine.code.syntax import DEFINITIONS, FUNCTIONS, SyntaxFault, digest, unparsed
from ge_engine.outcome import Rejected


@dataclass(frozen=True, slots=True)
class Companions:
    """Helpers, each with the number of its statement in the reply, import statements, and new names."""

    helpers: Mapping[str, int] = field(default_factory=dict)
    imports: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)


class Known(Protocol):
    """What a genome says of its names."""

    @property
    def bound(self) -> Mapping[str, str]: ...
    @property
    def segments(self) -> tuple[Segment, ...]: ...


@dataclass(frozen=True, slots=True)
class Offer:
    """What a reply's statements offer beside the block: by name what it means, the code that binds it alone
    ("" when there is none of that kind), an import that binds it, and the number of that statement."""

    tree: ast.Module
    block: ast.stmt
    meanings: Mapping[str, str]
    sources: Mapping[str, str]
    imports: Mapping[str, str]
    places: Mapping[str, int]

    @classmethod
    def of(cls, tree: ast.Module, block: ast.stmt, own: frozenset[str]) -> Offer:
        meanings = {name: m for name, m in bound_names(tree.body).items() if name not in own}
        imports = import_statements(tree.body)
        places = _places(tree)
        alone = {name: unparsed(tree.body[at]) for name, at in places.items() if name not in imports}
        sources = {name: alone.get(name, "") for name in meanings if name not in imports}
        return cls(tree, block, meanings, sources, imports, places)


def find_companions(
    tree: ast.Module, block: ast.stmt, code: str, address: str, genome: Known
) -> Companions | Rejected:
    """What the block needs of the statements around it in the reply: whole, or a rejection that names it.

    `tree` is the reply, `block` the statement of it that holds the block, `code` the block's code alone.
    """
    own = frozenset(address.split("."))
    offer = Offer.of(tree, block, own)
    found = _starred(offer, code, own, genome) or _chosen(
        offer, _reachable(code, offer), genome, "" if "." in address else address
    )
    if isinstance(found, Rejected):
        return found
    return _unfilled(offer, found, code, own, genome) or found


def _starred(offer: Offer, code: str, own: frozenset[str], genome: Known) -> Rejected | None:
    """A rejection when only a star import of the reply can give the block a name."""
    star = offer.meanings.get("*")
    if star is None or genome.bound.get("*") == star:
        return None
    missing = read_names(code) - own - offer.meanings.keys() - genome.bound.keys() - BUILTINS
    if not missing:
        return None
    return Rejected(
        "contract",
        f"`{offer.imports['*']}` does not come along: import {', '.join(sorted(missing))} by name.",
    )


def _chosen(offer: Offer, needed: set[str], genome: Known, replaced: str) -> Companions | Rejected:
    known = genome.bound
    helpers: dict[str, int] = {}
    imports: list[str] = []
    renamed: dict[str, str] = {}
    for name, meaning in offer.meanings.items():
        if name not in needed or known.get(name) == meaning or _imported(name, offer.meanings, known):
            continue
        taken = name in known or name in BUILTINS or reads(genome.segments, name, replaced)
        if name not in offer.imports and not offer.sources[name]:
            return Rejected("contract", f"the helper {name} must be one definition or one plain assignment.")
        if taken:
            if (name in offer.imports and name in known) or not _renamable(offer.tree, name):
                other = (
                    f"import {name} under another name"
                    if name in offer.imports
                    else "give the helper another name"
                )
                return Rejected("contract", _collision(name, other, name in known))
            renamed[name] = _fresh(name, {*known, *offer.meanings, *BUILTINS, *renamed.values()})
        if name in offer.imports:
            imports.append(_import_as(offer.imports[name], renamed.get(name)))
        else:
            helpers[name] = offer.places[name]
    return Companions(helpers, tuple(sorted(imports)), renamed)


def _unfilled(
    offer: Offer, chosen: Companions, code: str, own: frozenset[str], genome: Known
) -> Rejected | None:
    """A rejection when a name that the block needs is changed by a statement that stays behind."""
    for name in chosen.helpers:
        binding = [statement for statement in offer.tree.body if name in set(scope_names(statement))]
        plain = all(isinstance(s, FUNCTIONS) and not s.decorator_list for s in binding)
        if len(binding) > 1 and not plain:
            lines = ", ".join(str(s.lineno) for s in binding)
            return Rejected(
                "contract",
                f"the helper {name} is bound {len(binding)} times (lines {lines}): define it once.",
            )
    seeds = {n for n in read_names(code) & genome.bound.keys() if not genome.bound[n].startswith("@")}
    wanted = {*chosen.helpers, *own, *seeds}
    definitions = {n.name: n for n in offer.tree.body if isinstance(n, DEFINITIONS)}
    for statement in _left_behind(offer, chosen, genome):
        again = own & {*scope_names(statement)} if statement.lineno > offer.block.lineno else frozenset()
        if again and not isinstance(statement, DEFINITIONS):
            what = f"{min(again)} is bound again in line {statement.lineno} of the reply"
            return Rejected("contract", f"{what}, after the block: change it within the block.")
        changed = changed_names(statement, definitions) & wanted
        if changed:
            name = min(changed)
            what = f"{name} is changed in line {statement.lineno} of the reply, which is no part of the block"
            return Rejected(
                "contract", f"{what}: define {name} in one statement, or change it within the block."
            )
        marks = [
            n for n in decorated_by(statement) if n in genome.bound and not genome.bound[n].startswith("@")
        ]
        if marks and isinstance(statement, DEFINITIONS):
            what = f"{statement.name} is handed to {marks[0]} by its decorator and the block does not name it"
            return Rejected("contract", f"{what}: use {statement.name} by its name.")
    return None


def _left_behind(offer: Offer, chosen: Companions, genome: Known) -> Iterator[ast.stmt]:
    """Statements of the reply that would run in its file and that do not come along."""
    carried = {*chosen.helpers.values()}
    known = statement_digests(genome.segments)
    for at, statement in enumerate(offer.tree.body):
        idle = isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass)) or is_main_guard(statement)
        if isinstance(statement, DEFINITIONS):
            idle = not statement.decorator_list or statement.name in genome.bound
        if not idle and at not in carried and statement is not offer.block and digest(statement) not in known:
            yield statement


def print_helpers(module: cst.Module, companions: Companions, indent: str) -> tuple[str, ...] | Rejected:
    """The helpers' code at column 0, with the comments that stand directly above each."""
    statements = list(style.statements(module))
    printed = []
    for at in sorted(companions.helpers.values()):
        node = renamed(statements[at], companions)
        text = style.restyle(module, [node], indent) if not isinstance(node, SyntaxFault) else node
        if isinstance(text, SyntaxFault):
            return Rejected("compile", f"{text}.")
        printed.append("\n".join([*style.comments_above(module, statements[at]), text]))
    return tuple(printed)


@style.supported
def renamed(node: Statement, companions: Companions) -> Statement:
    """The node with the helpers' new names in it."""
    changed = node.visit(_Rename(companions.renamed)) if companions.renamed else node
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


def _reachable(code: str, offer: Offer) -> set[str]:
    found: set[str] = set()
    queue = [code]
    while queue:
        free = read_names(queue.pop())
        for name in offer.meanings:
            if name not in found and name.partition(".")[0] in free:
                found.add(name)
                queue += [offer.sources[name]] if offer.sources.get(name) else []
    return found


def _places(tree: ast.Module) -> dict[str, int]:
    """The number of the last statement that defines each name alone, by definition or plain assignment."""
    places: dict[str, int] = {}
    for at, statement in enumerate(tree.body):
        if isinstance(statement, DEFINITIONS):
            places[statement.name] = at
            continue
        assigned = isinstance(statement, ast.Assign) or type(statement).__name__ == "TypeAlias"
        assigned = assigned or (isinstance(statement, ast.AnnAssign) and statement.value is not None)
        names = {*scope_names(statement)} if assigned else set[str]()
        if len(names) == 1:
            places[names.pop()] = at
    return places


def _import_as(line: str, new: str | None) -> str:
    """An import statement of one name that binds it under a `new` one."""
    if new is None:
        return line
    return f"{line.partition(' as ')[0]} as {new}"


def _imported(name: str, meanings: Mapping[str, str], known: Mapping[str, str]) -> bool:
    """True for `import a.b` where the genome has imported a.b under whatever name."""
    return "." in name and meanings[name] in known.values()


def _collision(name: str, advice: str, known: bool) -> str:
    where = "in this file" if known else "to other code of this file"
    return f"{name} already means something else {where}: {advice}."


def _renamable(tree: ast.Module, name: str) -> bool:
    """Safe to rename: `name` is read only, apart from its one definition or import at the outermost level."""
    definitions = [n for n in tree.body if isinstance(n, DEFINITIONS) and n.name == name]
    imports = [a for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names]
    imports = [a for a in imports if (a.asname or a.name) == name]
    if len(definitions) + len(imports) != 1:
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load):
            return False
        if node in (*definitions, *imports) or isinstance(
            node, (ast.Name, ast.Attribute, ast.keyword, ast.Constant)
        ):
            continue
        if any(value == name or (isinstance(value, list) and name in value) for value in vars(node).values()):
            return False
    return True


def _fresh(name: str, taken: set[str]) -> str:
    number = 2
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"

"""What a rewritten block brings along: helper definitions and imports, fitted to the genome.

A name that the genome binds to the same thing is left behind. A helper whose name the genome binds to
something else gets a new name where that is safe; the genome's own definition is never overwritten. The work
grows with the number of names, not with its square.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.source.bindings import bound_names, import_statements, scope_names
from ge_engine.source.digests import digest
from ge_engine.source.names import BUILTINS, read_names
from ge_engine.source.renaming import fresh_name, renamable_names
from ge_engine.source.segments import reads, statement_digests
from ge_engine.source.side_effects import SideEffects, decorated_by
from ge_engine.source.syntax import DEFINITIONS, FUNCTIONS, is_main_guard, unparsed


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Helpers, each with the number of its statement in the reply, import statements, and new names."""

    helpers: Mapping[str, int] = field(default_factory=dict)
    imports: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplyNames:
    """The names that a reply's statements bind beside the block: by name what it means, the code that binds
    it alone ("" when there is none of that kind), an import that binds it, the number of that statement."""

    tree: ast.Module
    block: ast.stmt
    meanings: Mapping[str, str]
    sources: Mapping[str, str]
    imports: Mapping[str, str]
    places: Mapping[str, int]

    @classmethod
    def of(cls, tree: ast.Module, block: ast.stmt, own: frozenset[str]) -> ReplyNames:
        meanings = {name: m for name, m in bound_names(tree.body).items() if name not in own}
        imports = import_statements(tree.body)
        places = _places(tree)
        alone = {name: unparsed(tree.body[at]) for name, at in places.items() if name not in imports}
        sources = {name: alone.get(name, "") for name in meanings if name not in imports}
        return cls(tree, block, meanings, sources, imports, places)


def find_dependencies(
    tree: ast.Module, block: ast.stmt, code: str, address: str, genome: Genome
) -> Dependencies | Rejected:
    """What the block needs of the statements around it in the reply: whole, or a rejection that names it.

    `tree` is the reply, `block` the statement of it that holds the block, `code` the block's code alone.
    """
    own = frozenset(address.split("."))
    names = ReplyNames.of(tree, block, own)
    found = _starred(names, code, own, genome) or _chosen(
        names, _reachable(code, names), genome, "" if "." in address else address
    )
    if isinstance(found, Rejected):
        return found
    seeds = {n for n in read_names(code) & genome.bound.keys() if not genome.bound[n].startswith("@")}
    return (
        _bound_again(names, found)
        or _left_unfilled(names, found, own, {*found.helpers, *own, *seeds}, genome)
        or found
    )


def _starred(names: ReplyNames, code: str, own: frozenset[str], genome: Genome) -> Rejected | None:
    """A rejection when only a star import of the reply can give the block a name."""
    star = names.meanings.get("*")
    if star is None or genome.bound.get("*") == star:
        return None
    missing = read_names(code) - own - names.meanings.keys() - genome.bound.keys() - BUILTINS
    if not missing:
        return None
    listed = ", ".join(sorted(missing))
    return Rejected("contract", f"`{names.imports['*']}` does not come along: import {listed} by name.")


def _reachable(code: str, names: ReplyNames) -> set[str]:
    """The names that the code needs, also through one another."""
    waiting: dict[str, list[str]] = {}
    for name in names.meanings:
        waiting.setdefault(name.partition(".")[0], []).append(name)
    found: set[str] = set()
    queue = [code]
    while queue:
        new = [name for root in read_names(queue.pop()) for name in waiting.pop(root, ())]
        found.update(new)
        queue += [source for name in new if (source := names.sources.get(name))]
    return found


def _chosen(names: ReplyNames, needed: set[str], genome: Genome, replaced: str) -> Dependencies | Rejected:
    known, meant = genome.bound, frozenset(genome.bound.values())
    loads = frozenset[str]().union(*(s.facts.loads for s in genome.segments if s.text.strip()))
    renamable = renamable_names(names.tree)
    taken = {*known, *names.meanings, *BUILTINS}
    helpers: dict[str, int] = {}
    imports: list[str] = []
    renamed: dict[str, str] = {}
    for name, meaning in names.meanings.items():
        there = known.get(name) == meaning or ("." in name and meaning in meant)
        if name not in needed or there:
            continue
        line = names.imports.get(name)
        if line is None and not names.sources[name]:
            return Rejected("contract", f"the helper {name} must be one definition or one plain assignment.")
        used = name in loads and reads(genome.segments, name, replaced)
        if name in known or name in BUILTINS or used:
            if (line and name in known) or name not in renamable:
                return _collision(name, line is not None, name in known)
            renamed[name] = fresh_name(name, taken)
            taken.add(renamed[name])
        if line is None:
            helpers[name] = names.places[name]
        else:
            imports.append(f"{line.partition(' as ')[0]} as {renamed[name]}" if name in renamed else line)
    return Dependencies(helpers, tuple(sorted(imports)), renamed)


def _collision(name: str, imported: bool, known: bool) -> Rejected:
    where = "in this file" if known else "to other code of this file"
    advice = f"import {name} under another name" if imported else "give the helper another name"
    return Rejected("contract", f"{name} already means something else {where}: {advice}.")


def _bound_again(names: ReplyNames, chosen: Dependencies) -> Rejected | None:
    """A rejection when the value of a helper is made by several statements."""
    binding: dict[str, list[ast.stmt]] = {}
    for statement in names.tree.body:
        for name in chosen.helpers.keys() & set(scope_names(statement)):
            binding.setdefault(name, []).append(statement)
    for name in chosen.helpers:
        found = binding.get(name, [])
        plain = all(isinstance(s, FUNCTIONS) and not s.decorator_list for s in found)
        if len(found) > 1 and not plain:
            lines = ", ".join(str(s.lineno) for s in found)
            reason = f"the helper {name} is bound {len(found)} times (lines {lines}): define it once."
            return Rejected("contract", reason)
    return None


def _left_unfilled(
    names: ReplyNames, chosen: Dependencies, own: frozenset[str], wanted: set[str], genome: Genome
) -> Rejected | None:
    """A rejection when a name that is wanted is changed by a statement that stays behind."""
    effects = SideEffects({n.name: n for n in names.tree.body if isinstance(n, DEFINITIONS)})
    for statement in _left_behind(names, chosen, genome):
        again = own & {*scope_names(statement)} if statement.lineno > names.block.lineno else frozenset()
        changed = effects.changed_by(statement) & wanted
        marks = [n for n in decorated_by(statement) if not genome.bound.get(n, "@").startswith("@")]
        reason = ""
        if again and not isinstance(statement, DEFINITIONS):
            what = f"{min(again)} is bound again in line {statement.lineno} of the reply"
            reason = f"{what}, after the block: change it within the block."
        elif changed:
            name = min(changed)
            what = f"{name} is changed in line {statement.lineno} of the reply, which is no part of the block"
            reason = f"{what}: define {name} in one statement, or change it within the block."
        elif marks and isinstance(statement, DEFINITIONS):
            what = f"{statement.name} is handed to {marks[0]} by its decorator and the block does not name it"
            reason = f"{what}: use {statement.name} by its name."
        if reason:
            return Rejected("contract", reason)
    return None


def _left_behind(names: ReplyNames, chosen: Dependencies, genome: Genome) -> Iterator[ast.stmt]:
    """Statements of the reply that would run in its file and that do not come along."""
    carried = {*chosen.helpers.values()}
    known = statement_digests(genome.segments)
    for at, statement in enumerate(names.tree.body):
        idle = isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass)) or is_main_guard(statement)
        if isinstance(statement, DEFINITIONS):
            idle = not statement.decorator_list or statement.name in genome.bound
        if not idle and at not in carried and statement is not names.block and digest(statement) not in known:
            yield statement


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

"""Code -> Patch -> Genome. A patch is new code for one block or for several, and what it brings along."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Sequence

import libcst as cst

from ge_engine.genome import Genome, Segment, Span
from ge_engine.joint_genome import JointGenome
from ge_engine.outcome import Rejected
from ge_engine.source import style
from ge_engine.source.additions import checked, new_helpers, new_imports
from ge_engine.source.addresses import split_address
from ge_engine.source.addressing import Location, find_statement, locate
from ge_engine.source.bindings import imported
from ge_engine.source.contract import check_contract
from ge_engine.source.dependencies import Dependencies, find_dependencies
from ge_engine.source.facts import decorator_names
from ge_engine.source.language import PYTHON, YAML
from ge_engine.source.names import free_names
from ge_engine.source.patches import AnyPatch, JointPatch, Patch, by_file, in_file, of_block
from ge_engine.source.renaming import print_helpers, renamed
from ge_engine.source.segments import needed_helpers
from ge_engine.source.splicing import rewritten
from ge_engine.source.syntax import (
    Assignment,
    Definition,
    SyntaxFault,
    end_line,
    first_line,
    last_line,
    normalised,
    parse,
    split_lines,
)
from ge_engine.source.yaml_patch import entry_patch

__all__ = ["AnyPatch", "JointPatch", "Patch", "apply", "parse_patch", "transplant", "undefined_names"]


def parse_patch(genome: Genome, address: str, code: str) -> Patch | Rejected:
    """Validate `code` as a rewrite of the block `address`.

    `code` may hold more than the block: imports and definitions that the block uses come along, whole or not
    at all; anything else is left behind. Decorators and bases that it leaves out are put back; comments above
    the block stay those of the file, and the patch's notes tell of others; those after it go to its end.
    Never raises; stages are "compile" and "contract".
    """
    file, _ = split_address(address)
    one, local = genome.at(address)
    patch = _parsed(one, local, code)
    return patch if isinstance(patch, Rejected) else in_file(patch, file)


def _parsed(genome: Genome, address: str, code: str) -> Patch | Rejected:
    """As `parse_patch`, of a block of the only file."""
    location = locate(genome, address)
    if isinstance(location, Rejected):
        return location
    text = normalised(code).strip("\n")
    if not text.strip():
        return Rejected("compile", "the reply holds no code.")
    if genome.seed.language is YAML:
        return entry_patch(address, location, text, genome.seed.newline)
    tree = parse(text)
    if isinstance(tree, SyntaxFault):
        return Rejected("compile", f"{tree}.")
    if not tree.body:
        return Rejected("compile", "the reply holds comments only.")
    new = find_statement(tree, address, location[1].kind)
    if isinstance(new, Rejected):
        return new
    broken = check_contract(*location, new, text)
    if broken is not None:
        return broken
    return _assemble(genome, address, location, tree, new, text)


def apply(genome: Genome, patch: AnyPatch) -> Genome | Rejected:
    """Splice a patch into a genome: all of its blocks, in whatever order it names them, or none.

    Helpers that the genome has already are not added again; helpers and imports that an earlier patch
    brought and that nothing uses any more are dropped. Stages: "compile" when the file would not
    compile, "contract" when the patch does not fit; the reason names the block where there are several.
    """
    if (overlap := _overlap(patch.addresses)) is not None:
        return Rejected("contract", f"{overlap}: rewrite each part of the file once.")
    if not isinstance(genome, JointGenome):
        return _applied(genome, patch)
    made: dict[str, Genome] = {}
    for file, local in by_file(patch).items():
        one = genome.files.get(file)
        changed = Rejected("contract", "there is no such file.") if one is None else _applied(one, local)
        if isinstance(changed, Rejected):
            return changed if file in changed.reason else of_block(file, changed)
        made[file] = changed
    return genome.with_files(made)


def _applied(genome: Genome, patch: AnyPatch) -> Genome | Rejected:
    """As `apply`, of patches of the only file."""
    child = genome
    for part in _in_file_order(genome, patch.patches):
        made = _spliced(child, part)
        if isinstance(made, Rejected):
            return made if patch is part else of_block(part.address, made)
        child = made
    return checked(child.tidied())


def transplant(donor: Genome, address: str) -> Patch:
    """The donor's block as a patch, with the helpers and imports that it relies on.

    Raises:
        KeyError: the donor has no evolvable block of this address.
    """
    file, _ = split_address(address)
    one, local = donor.at(address)
    return in_file(_transplanted(one, local), file)


def _transplanted(donor: Genome, address: str) -> Patch:
    """As `transplant`, of a block of the only file."""
    location = locate(donor, address)
    if isinstance(location, Rejected):
        raise KeyError(address)
    loads = location[0].facts.loads
    added = [s for group in donor.helpers.values() for s in group if s.name != location[0].name]
    helpers = needed_helpers(loads, added)
    loads = loads.union(*(helper.facts.loads for helper in helpers))
    imports = tuple(line for line in donor.imports if loads & imported(line))
    return Patch(address, donor.blocks[address].code, tuple(helper.code for helper in helpers), imports)


def undefined_names(genome: Genome, patch: AnyPatch) -> tuple[str, ...]:
    """Names that the patch reads and that nothing in `genome`, to which it was applied, defines.

    Of a file with a star import there are none, for there it cannot be told.
    """
    parts = by_file(patch).items()
    found = [_undefined(genome.files[file], local) for file, local in parts if file in genome.files]
    return tuple(sorted({name for names in found for name in names}))


def _undefined(genome: Genome, patch: AnyPatch) -> tuple[str, ...]:
    """As `undefined_names`, of patches of the only file."""
    if genome.seed.language is not PYTHON:
        return ()
    codes = (*(part.code for part in patch.patches), *patch.helpers)
    free = frozenset[str]().union(*map(free_names, codes))
    return () if "*" in genome.bound else tuple(sorted(free - genome.bound.keys()))


def _spliced(genome: Genome, patch: Patch) -> Genome | Rejected:
    location = locate(genome, patch.address)
    if isinstance(location, Rejected):
        return location
    segment, span = location
    made = rewritten(genome, segment, span, normalised(patch.code).strip("\n"))
    if isinstance(made, Rejected):
        return made
    helpers = new_helpers(genome, patch.helpers)
    if isinstance(helpers, Rejected):
        return helpers
    imports = new_imports(genome, patch.imports)
    if isinstance(imports, Rejected):
        return imports
    child = genome if made is segment else genome.replace(segment.name, made)
    return child.insert(segment.name, helpers, imports)


def _overlap(addresses: Sequence[str]) -> str | None:
    """Which two of the addresses overlap, in words."""
    for a, b in itertools.permutations(addresses, 2):
        if a == b:
            return f"{a} is patched twice"
        if b.startswith(f"{a}."):
            return f"{a} and {b} overlap"
    return None


def _in_file_order(genome: Genome, patches: Sequence[Patch]) -> Sequence[Patch]:
    if len(patches) == 1:
        return patches
    places = {address: at for at, address in enumerate(genome.blocks)}
    return sorted(patches, key=lambda patch: places.get(patch.address, -1))


def _assemble(
    genome: Genome,
    address: str,
    location: Location,
    tree: ast.Module,
    new: Definition | Assignment,
    text: str,
) -> Patch | Rejected:
    segment, span = location
    module = style.read(text)
    if isinstance(module, SyntaxFault):
        return Rejected("compile", f"{module}.")
    node = style.assignment(module, address) if span.kind == "values" else style.definition(module, address)
    above = _comments_left(genome, f"above {address}", style.comments_before(module, node))
    beside = style.comment_beside(node) if genome.has_comment_beside(segment.name) else None
    node = style.without_comment_beside(node) if beside else node
    needed = _dependencies(genome, address, tree, new, module, node)
    if isinstance(needed, Rejected):
        return needed
    whole = _restored(node, segment, span, new)
    if isinstance(whole, SyntaxFault):
        return Rejected("compile", f"{whole}.")
    if tree.body[-1] is new:
        whole = style.with_tail(whole, module)
    changed = renamed(whole, needed.renamed)
    if isinstance(changed, SyntaxFault):
        return Rejected("compile", f"{changed}.")
    indent = span.inner or genome.seed.indent
    as_it_is = changed is node and not beside and _alone(tree, new, text) and module.default_indent == indent
    code = text if as_it_is else style.restyle(module, [changed], indent)
    if isinstance(code, SyntaxFault):
        return Rejected("compile", f"{code}.")
    helpers = print_helpers(module, needed.helpers, needed.renamed, genome.seed.indent)
    if isinstance(helpers, Rejected):
        return helpers
    notes = above + _comments_left(genome, f"beside {address}", [beside] if beside else [])
    return Patch(address, code, helpers, needed.imports, notes)


def _comments_left(genome: Genome, where: str, comments: Sequence[str]) -> tuple[str, ...]:
    """A note of those comments that the file does not have."""
    left = [comment for comment in comments if comment.strip() not in genome.text]
    if not left:
        return ()
    more = f" and {len(left) - 1} more" if len(left) > 1 else ""
    return (f"the comment {where} was left out: {left[0][:60]!r}{more}",)


def _alone(tree: ast.Module, new: Definition | Assignment, text: str) -> bool:
    """The text is this statement from its first character to its last."""
    lines = split_lines(text)
    end = last_line(new) if isinstance(new, Assignment) else end_line(new, lines)
    return tree.body == [new] and first_line(new, lines) == 1 and end == len(lines)


def _dependencies(
    genome: Genome, address: str, tree: ast.Module, new: ast.stmt, module: cst.Module, node: style.Statement
) -> Dependencies | Rejected:
    if tree.body == [new]:
        return Dependencies()
    block = style.restyle(module, [node], module.default_indent)
    if isinstance(block, SyntaxFault):
        return Rejected("compile", f"{block}.")
    statement = next(n for n in tree.body if n is new or new in getattr(n, "body", ()))
    return find_dependencies(tree, statement, block, address, genome)


@style.supported
def _restored(
    node: style.Statement, segment: Segment, span: Span, new: Definition | Assignment
) -> style.Statement:
    """The new definition with the old one's decorators and bases that it leaves out."""
    if not isinstance(node, style.Defined) or isinstance(new, Assignment):
        return node
    bases = isinstance(new, ast.ClassDef) and not new.bases and not new.keywords
    module = segment.method_module(span) if span.kind == "method" else segment.module
    if isinstance(module, SyntaxFault) or (not bases and not span.decorators):
        return node
    old = style.definition(module, f"{segment.name}.{span.name}" if span.kind == "method" else span.name)
    there = decorator_names(new)
    lost = [d for d, name in zip(old.decorators, span.decorators, strict=True) if name not in there]
    if lost:
        first = lost[0].with_changes(leading_lines=()) if lost[0] is old.decorators[0] else lost[0]
        node = node.with_changes(decorators=[first, *lost[1:], *node.decorators])
    if len(lost) == len(old.decorators):
        node = node.with_changes(
            lines_after_decorators=[*old.lines_after_decorators, *node.lines_after_decorators]
        )
    if bases and isinstance(old, cst.ClassDef) and (old.bases or old.keywords):
        node = node.with_changes(bases=old.bases, keywords=old.keywords, lpar=old.lpar, rpar=old.rpar)
    return node

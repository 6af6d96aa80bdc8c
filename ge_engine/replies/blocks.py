"""A reply that rewrites several blocks -> one patch of those that differ, or why none of it is taken."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import replace

from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.patch import AnyPatch, JointPatch, Patch, parse_patch
from ge_engine.replies.block_match import Found
from ge_engine.replies.by_file import by_file
from ge_engine.replies.extraction import extract_file
from ge_engine.replies.file_match import FileMatcher, without
from ge_engine.source.addresses import files_of, within
from ge_engine.source.addressing import contents
from ge_engine.source.bindings import scope_names
from ge_engine.source.digests import digest
from ge_engine.source.language import PYTHON
from ge_engine.source.patches import in_file, of_block
from ge_engine.source.segments import Segment, statement_digests
from ge_engine.source.syntax import SyntaxFault, name_of, normalised, parse

ASSIGNMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign)
_HEAD = re.compile(r"^(?:class|def|async def)[ \t]+(\w+)", re.MULTILINE)


def read_blocks(text: str, finish: str, genome: Genome, addresses: Sequence[str]) -> AnyPatch | Rejected:
    """What a reply makes of the blocks `addresses`, given as whole definitions, as whole files or as an edit
    of one; `finish` is "stop" or "length". Never raises; stages "extract", "compile" and "contract".

    Of several files, a definition belongs to the file whose name stands above it (see `by_file`); where some
    stand below none, each to the file that has a block of that name.
    """
    if len(genome.files) == 1:
        return _read_file(text, finish, genome, addresses, frozenset())
    marked = by_file(text, list(genome.files))
    if not marked and (twice := _in_several(genome, text)) is not None:
        return twice
    patches, nothing = list[Patch](), list[Rejected]()
    for file in files_of(addresses):
        if marked and file not in marked:
            continue
        one = genome.files[file]
        local = within(file, addresses)
        if marked:
            fence = f"```{one.seed.language.name}\n{marked[file]}```\n"
            patch = _read_file(fence, finish, one, local, frozenset())
        else:
            elsewhere = _names_elsewhere(genome, file) if one.seed.language is PYTHON else frozenset[str]()
            patch = _read_file(text, finish, one, local, elsewhere)
        if not isinstance(patch, Rejected):
            patches += in_file(JointPatch(patch.patches), file).patches
        elif patch.stage != "extract" or (marked and not _repeats(one, marked[file])):
            return of_block(file, patch)
        else:
            nothing.append(patch)
    if not patches:
        return nothing[0] if nothing else Rejected("extract", "it rewrites no file that may be changed.")
    return JointPatch(tuple(patches)) if len(patches) > 1 else patches[0]


def _repeats(genome: Genome, code: str) -> bool:
    """Whether the code has nothing but what its file has already."""
    tree = genome.seed.language.parse(normalised(code))
    return isinstance(tree, ast.Module) and not FileMatcher(genome).changed(tree)


def _in_several(genome: Genome, text: str) -> Rejected | None:
    """A rejection where the reply defines what two files have a block of, and does not say which it means."""
    for name in dict.fromkeys(_HEAD.findall(text)):
        files = [file for file, one in genome.files.items() if name in one.blocks]
        if len(files) > 1:
            both = f"{' and '.join(files)} have a block {name}"
            return Rejected("extract", f"{both}: begin each file's code with a comment of its name.")
    return None


def _names_elsewhere(genome: Genome, file: str) -> frozenset[str]:
    """The names of the blocks of the other files that this one has no block of."""
    names = {address for other, one in genome.files.items() if other != file for address in one.blocks}
    return frozenset(names - genome.files[file].blocks.keys())


def _read_file(
    text: str, finish: str, genome: Genome, addresses: Sequence[str], elsewhere: frozenset[str]
) -> AnyPatch | Rejected:
    """As `read_blocks`, of one file. Definitions of the names `elsewhere` are meant for another one."""
    found = extract_file(text, finish, genome)
    if isinstance(found, Rejected):
        return found
    patch = parse_blocks(genome, addresses, _left(found.code, elsewhere))
    if isinstance(patch, Rejected):
        return patch
    first, *others = patch.patches
    first = replace(first, notes=(*found.notes, *first.notes))
    return JointPatch((first, *others)) if others else first


def _left(code: str, elsewhere: frozenset[str]) -> str:
    """The code without what it defines of other files."""
    tree = parse(normalised(code)) if elsewhere else None
    if not isinstance(tree, ast.Module):
        return code
    found = Found(normalised(code), tree)
    return without(found, (node for node in tree.body if name_of(node) in elsewhere))


def parse_blocks(genome: Genome, addresses: Sequence[str], code: str) -> AnyPatch | Rejected:
    """Validate `code` as a rewrite of those of the blocks `addresses` that differ in it: each as
    `parse_patch` does, all as one change.

    A class in which methods alone differ is patched by method where these are among `addresses`. What the
    code leaves out stays in the file. What differs and may not be changed is refused: another block of the
    file, or the value of a name outside its blocks.
    """
    code = normalised(code).strip("\n")
    tree = genome.seed.language.parse(code)
    if isinstance(tree, SyntaxFault):
        return Rejected("compile", f"{_where(code, tree)}{tree}.")
    if (outside := _outside(genome, tree)) is not None:
        return outside
    matcher, patches = FileMatcher(genome), list[Patch]()
    changed = matcher.changed(tree)
    for name in (name for name in genome.blocks if name in changed):
        new = Segment(code, name, ast.Module([matcher.whole(changed[name])], []))
        alone = without(Found(code, tree), (node for node in matcher.blocks(tree) if name_of(node) != name))
        for address in _parts(genome, new, addresses):
            patch = _patch(genome, address, addresses, alone)
            if isinstance(patch, Rejected):
                return of_block(address, patch)
            patches.append(patch)
    if not patches:
        reason = f"{contents(tree)} and changes no block: write each block whole that changes."
        return Rejected("extract", reason)
    return JointPatch(tuple(patches)) if len(patches) > 1 else patches[0]


def _parts(genome: Genome, new: Segment, addresses: Sequence[str]) -> tuple[str, ...]:
    """The methods that differ, where nothing else of a class does and all may be changed; else the whole."""
    old = genome.segment(new.name)
    if old is None or not old.facts.skeleton or old.facts.skeleton != new.facts.skeleton:
        return (new.name,)
    pairs = zip(old.facts.methods, new.facts.methods, strict=True)
    methods = tuple(f"{new.name}.{a.name}" for a, b in pairs if a.digest != b.digest)
    return methods if methods and set(methods) <= set(addresses) else (new.name,)


def _patch(genome: Genome, address: str, addresses: Sequence[str], code: str) -> Patch | Rejected:
    if genome.reason(address) or address in addresses:
        return parse_patch(genome, address, code)
    return Rejected("contract", f"it is none of the blocks that may be changed: {', '.join(addresses)}.")


def _outside(genome: Genome, tree: ast.Module) -> Rejected | None:
    """A rejection when a statement outside the blocks gives a name of the file another value."""
    known = statement_digests(genome.segments)
    for node in tree.body:
        if isinstance(node, ASSIGNMENTS) and name_of(node) not in genome.blocks and digest(node) not in known:
            taken = genome.bound.keys() & set(scope_names(node))
            if taken:
                reason = f"{min(taken)} stands outside the blocks and keeps its value: use another name."
                return Rejected("contract", reason)
    return None


def _where(code: str, fault: SyntaxFault) -> str:
    """The definition in which a fault stands, for a message."""
    heads = _HEAD.findall("\n".join(code.split("\n")[: fault.line]))
    return f"{heads[-1]}: " if heads else ""

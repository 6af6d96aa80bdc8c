"""Two genomes -> what changed, block by block; and who wrote which line.

Plain data only: the command line colours it.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Literal

from ge_engine.genome import Block, Genome, Segment
from ge_engine.source.addresses import address_in
from ge_engine.source.line_diff import WordKind, equal_runs, with_ends, word_pieces
from ge_engine.source.syntax import normalised

ChangeKind = Literal["added", "removed", "changed", "renamed", "moved", "layout"]
MODULE = "<module>"
"""The address of what stands outside all blocks: imports, constants, comments between blocks."""
SIMILAR = 0.7
"""Share of equal lines from which a removed and an added block count as one that was renamed."""


@dataclass(frozen=True, slots=True)
class Change:
    """One block's change from a first genome to a second.

    `address` is the block's in the second genome, or in the first when it was removed; `old_address`
    that in the first, "" when it was added. `before` and `after` are code at column 0, "" where there
    is no block. "layout" means that only comments, docstrings or blanks differ; "moved" that the block
    stands elsewhere among its neighbours with the same code. Lines are those of each genome's file,
    (0, 0) where there is no block and for `MODULE`.
    """

    kind: ChangeKind
    address: str
    old_address: str
    before: str
    after: str
    old_lines: tuple[int, int] = (0, 0)
    lines: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Blame:
    """A line of the last of some genomes that the first does not have; `index` is the one of them that
    brought it in."""

    line: int
    text: str
    index: int
    file: str = ""


def diff_genomes(a: Genome, b: Genome) -> tuple[Change, ...]:
    """Block-level changes from `a` to `b`, which may be of different seed models, in the order of `b`. Of
    several files, those of one name are compared.

    A class that differs in its methods only is reported by method, otherwise as a whole.
    """
    pairs = _paired(a, b)
    return tuple(_named(change, name) for name, one, other in pairs for change in _diff_files(one, other))


def _paired(a: Genome, b: Genome) -> list[tuple[str, Genome, Genome]]:
    """The files of two seed models by name: those of both; of a lone file and several that of them which is
    called as it; else the two that build the models."""
    both = [(name, one, b.files[name]) for name, one in a.files.items() if name in b.files]
    if len(a.files) == 1 and (name := _called_as(a, b)):
        return [(name, a, b.files[name])]
    if len(b.files) == 1 and (name := _called_as(b, a)):
        return [(name, a.files[name], b)]
    return both or [("", a.main, b.main)]


def _called_as(lone: Genome, several: Genome) -> str:
    """The file of several that has the name of a lone one; "" where none has, or more than one."""
    own = lone.seed.path.name if lone.seed.path else ""
    found = [name for name in several.files if PurePosixPath(name).name == own]
    return found[0] if len(found) == 1 else ""


def _named(change: Change, file: str) -> Change:
    """A change within a file as one of a seed model of several."""
    if not file:
        return change
    old = address_in(file, change.old_address)
    return replace(change, address=address_in(file, change.address), old_address=old)


def _diff_files(a: Genome, b: Genome) -> tuple[Change, ...]:
    """As `diff_genomes`, of one file each."""
    changes = [*_scope(a, b, _top_level(a), _top_level(b)), *_outside(a, b)]
    order = {address: at for at, address in enumerate(b.blocks)}
    return tuple(sorted(changes, key=lambda c: (order.get(c.address, len(order)), c.address)))


def unified(change: Change, context: int = 3) -> list[str]:
    """The change as the lines of a unified diff, with a header that names the block."""
    if change.before == change.after:
        return []
    before, after = change.before.split("\n"), change.after.split("\n")
    old, new = change.old_address or "/dev/null", change.address if change.after else "/dev/null"
    return list(difflib.unified_diff(before, after, old, new, n=context, lineterm=""))


def words(change: Change) -> list[tuple[WordKind, str]]:
    """The whole block with its changes word by word; joined without the deleted it is `after`."""
    pieces: list[tuple[WordKind, str]] = []
    before, after = with_ends(change.before), with_ends(change.after)
    for tag, i, j, k, m in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        old, new = "".join(before[i:j]), "".join(after[k:m])
        pieces += [("equal", old)] if tag == "equal" else word_pieces(old, new)
    return pieces


def stat(change: Change) -> tuple[int, int]:
    """How many lines the change adds and removes."""
    lines = unified(change, 0)[2:]
    return sum(line.startswith("+") for line in lines), sum(line.startswith("-") for line in lines)


def to_json(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """Plain data for JSON: the fields of each change, and its counts of lines."""
    rows = []
    for change in changes:
        added, removed = stat(change)
        row = {**asdict(change), "added_lines": added, "removed_lines": removed}
        rows.append({**row, "old_lines": list(change.old_lines), "lines": list(change.lines)})
    return rows


def blame(genomes: Sequence[Genome], parents: Sequence[Sequence[int]] | None = None) -> list[Blame]:
    """For each line of the last genome that differs from the first: who brought it in.

    `genomes` run from the seed model to the individual, parents before children; `parents` are the places of
    each one's parents among them, the first parent first (without it, each is the only parent of the next). A
    line that the first parent does not have is the second one's where that has it. Lines count from 1, in
    `file` where there are several.
    """
    return [
        replace(one, file=name)
        for name in genomes[-1].files
        for one in _blame([genome.files[name] for genome in genomes], parents)
    ]


def _blame(genomes: Sequence[Genome], parents: Sequence[Sequence[int]] | None) -> list[Blame]:
    """As `blame`, of one file."""
    texts = [_lines(genome) for genome in genomes]
    lineage = parents or [() if index == 0 else (index - 1,) for index in range(len(texts))]
    origins: list[list[int]] = []
    for index, new in enumerate(texts):
        made = [index] * len(new)
        for parent in reversed(lineage[index]):
            for i, k, size in equal_runs(texts[parent], new):
                made[k : k + size] = origins[parent][i : i + size]
        origins.append(made)
    same = {k + step for _, k, size in equal_runs(texts[0], texts[-1]) for step in range(size)}
    last = enumerate(zip(texts[-1], origins[-1], strict=True))
    return [Blame(at + 1, text, index) for at, (text, index) in last if index and at not in same]


# --- blocks ----------------------------------------------------------------------------------------


def _top_level(genome: Genome) -> dict[str, Block]:
    return {address: block for address, block in genome.blocks.items() if block.kind != "method"}


def _methods(genome: Genome, owner: str) -> dict[str, Block]:
    return {address: b for address, b in genome.blocks.items() if address.startswith(f"{owner}.")}


def _scope(a: Genome, b: Genome, old: Mapping[str, Block], new: Mapping[str, Block]) -> Iterator[Change]:
    """Changes among blocks that are neighbours: those of a file, or the methods of a class."""
    renamed = _renames(
        [old[n] for n in old if n not in new],
        [new[n] for n in new if n not in old],
    )
    partner = {**{n: n for n in old if n in new}, **renamed}
    moved = _moved([partner[n] for n in old if n in partner], list(new))
    for name, block in old.items():
        if name not in partner:
            yield _change("removed", block, None)
            continue
        yield from _pair(a, b, block, new[partner[name]], partner[name] in moved)
    taken = set(partner.values())
    yield from (_change("added", None, block) for name, block in new.items() if name not in taken)


def _pair(a: Genome, b: Genome, old: Block, new: Block, moved: bool) -> Iterator[Change]:
    if old.address.rpartition(".")[2] != new.address.rpartition(".")[2]:
        yield _change("renamed", old, new)
    elif old.digest != new.digest:
        if _same_outside_methods(a.segment(old.address), b.segment(new.address)):
            yield from _scope(a, b, _methods(a, old.address), _methods(b, new.address))
        else:
            yield _change("changed", old, new)
    elif old.code != new.code:
        yield _change("layout", old, new)
    if moved:
        yield _change("moved", old, new)


def _same_outside_methods(a: Segment | None, b: Segment | None) -> bool:
    if a is None or b is None or not a.facts.skeleton or not b.facts.skeleton:
        return False
    return a.facts.skeleton.partition("/")[0] == b.facts.skeleton.partition("/")[0]


def _renames(gone: list[Block], come: list[Block]) -> dict[str, str]:
    """Pairs of a removed and an added block of one kind that are the same but for the name: exactly
    equal ones first, then the most similar."""
    pairs: dict[str, str] = {}
    scored = sorted(
        ((-_similarity(old, new), i, k) for i, old in enumerate(gone) for k, new in enumerate(come)),
    )
    for score, i, k in scored:
        if -score >= SIMILAR and gone[i].address not in pairs and come[k].address not in pairs.values():
            pairs[gone[i].address] = come[k].address
    return pairs


def _similarity(old: Block, new: Block) -> float:
    if old.kind != new.kind:
        return 0.0
    one, other = _nameless(old), _nameless(new)
    if one == other:
        return 1.0
    matcher = difflib.SequenceMatcher(None, one.split("\n"), other.split("\n"), autojunk=False)
    return 0.0 if matcher.real_quick_ratio() < SIMILAR else min(matcher.ratio(), 0.99)


def _nameless(block: Block) -> str:
    """The block's code with its own name left out."""
    return re.sub(rf"\b{re.escape(block.address.rpartition('.')[2])}\b", "_", block.code)


def _moved(old: list[str], new: list[str]) -> set[str]:
    """Names out of order: all that are in no longest common subsequence of both orders."""
    place = {name: at for at, name in enumerate(new)}
    tails: list[int] = []
    previous: dict[int, int] = {}
    for at in (place[name] for name in old):
        spot = bisect_left(tails, at)
        previous[at] = tails[spot - 1] if spot else -1
        tails[spot : spot + 1] = [at]
    kept = set()
    at = tails[-1] if tails else -1
    while at >= 0:
        kept.add(at)
        at = previous[at]
    return {name for name in old if place[name] not in kept}


def _outside(a: Genome, b: Genome) -> Iterator[Change]:
    old, new = _opaque(a), _opaque(b)
    before, after = _joined(old), _joined(new)
    if before.split() != after.split():
        same = "".join(s.facts.digest for s in old) == "".join(s.facts.digest for s in new)
        yield Change("layout" if same else "changed", MODULE, MODULE, before, after)


def _opaque(genome: Genome) -> list[Segment]:
    return [
        s for s in genome.segments if s.text and not s.text.isspace() and (not s.name or not s.facts.outer)
    ]


def _joined(segments: list[Segment]) -> str:
    """Text of segments with at most one blank line in a row: what stood between them is not there."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(s.code.strip("\n") for s in segments))


def _change(kind: ChangeKind, old: Block | None, new: Block | None) -> Change:
    shown = new or old
    assert shown is not None
    return Change(
        kind=kind,
        address=shown.address,
        old_address=old.address if old else "",
        before=old.code if old else "",
        after=new.code if new else "",
        old_lines=old.lines if old else (0, 0),
        lines=new.lines if new else (0, 0),
    )


def _lines(genome: Genome) -> list[str]:
    return normalised(genome.text).split("\n")

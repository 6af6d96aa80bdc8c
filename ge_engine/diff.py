"""Two genomes -> what changed, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ge_engine.blocks import Genome

ChangeKind = Literal["added", "removed", "changed", "renamed", "moved", "layout"]


@dataclass(frozen=True, slots=True)
class Change:
    """One block's change. `address` is the new one ("" fields where a side has no block)."""

    kind: ChangeKind
    address: str
    before: str
    after: str
    old_address: str


def diff_genomes(a: Genome, b: Genome) -> tuple[Change, ...]:
    """Block-level changes from `a` to `b`."""
    changes = []
    for address in dict.fromkeys((*a.blocks, *b.blocks)):
        one, other = a.blocks.get(address), b.blocks.get(address)
        before, after = one.code if one else "", other.code if other else ""
        if before != after:
            kind: ChangeKind = "added" if one is None else "removed" if other is None else "changed"
            changes.append(Change(kind, address, before, after, address))
    return tuple(changes)

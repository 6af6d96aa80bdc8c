"""Blocks and changes as the engine gives them back from Python, each a table in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from ge_engine.changes import Change, unified
from ge_engine.genome import Block
from ge_engine.views import markup


class Blocks(dict[str, Block]):
    """Blocks by address; a table in a notebook."""

    def __init__(self, blocks: Mapping[str, Block]) -> None:
        super().__init__(blocks)

    def _repr_html_(self) -> str:
        rows = [
            [address, one.kind, f"{one.lines[0]}-{one.lines[1]}", one.reason or "can be evolved"]
            for address, one in self.items()
        ]
        return markup.table(f"{len(rows)} blocks", ("address", "kind", "lines", ""), rows)


@dataclass(frozen=True, slots=True, repr=False)
class Changes(Sequence[Change]):
    """Block-level changes; shown as a unified diff, coloured in a notebook."""

    changes: tuple[Change, ...]

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Change, ...]: ...
    def __getitem__(self, index: int | slice) -> Change | tuple[Change, ...]:
        return self.changes[index]

    def __len__(self) -> int:
        return len(self.changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __str__(self) -> str:
        return "\n".join(line for change in self.changes for line in unified(change))

    def __repr__(self) -> str:
        kinds = ", ".join(f"{change.kind} {change.address}" for change in self.changes)
        return f"<Changes: {kinds or 'none'}>" + (f"\n{self}" if self.changes else "")

    def _repr_html_(self) -> str:
        return markup.differences(self.changes)

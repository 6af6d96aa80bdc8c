"""A key-value cache in blocks, as paged attention wants it: each row's columns lie in the blocks that its
table names, so a row moves by its table alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

Array = np.ndarray[Any, Any]
Blocks = list[Array]
BLOCK = 32
"""Columns of a block: what OpenVINO's kernel for CPUs takes."""


class BlockCache:
    """The rows' tables and the blocks of all layers. `shapes` has for each of the model's caches its name and
    the shape of a block, `bind` is told of the arrays (blocks, *shape) that hold them whenever they are new.

    A slot keeps its blocks for the next row that lies there.
    """

    def __init__(self, slots: int, shapes: Mapping[str, Sequence[int]], bind: Any) -> None:
        self._shapes = shapes
        self._bind = bind
        self._tables: list[list[int]] = [[] for _ in range(slots)]
        self._used = 0
        self._held: dict[str, Array] = {}

    def table(self, slot: int, length: int) -> list[int]:
        """The blocks of the first `length` columns of `slot`."""
        return self._tables[slot][: _blocks_for(length)]

    def aim(self, slots: torch.Tensor, positions: torch.Tensor, width: int) -> None:  # noqa: ARG002
        """Make room for token i of the next step in slot `slots[i]`, column `positions[i]`."""
        lengths = np.zeros(len(self._tables), np.int64)
        np.maximum.at(lengths, slots.numpy(), positions.numpy() + 1)
        for slot in np.flatnonzero(lengths):
            self._open(int(slot), int(lengths[slot]))

    def read(self, slot: int, length: int) -> Blocks:
        """A copy of the blocks with the first `length` columns of `slot`, cache by cache."""
        table = self.table(slot, length)
        return [array[table] for array in self._held.values()]

    def write(self, slot: int, columns: Blocks, length: int) -> None:
        """Put the first `length` columns of what `read` gave at the start of `slot`. What their last block
        holds beyond is not seen, and written over."""
        self._open(slot, length)
        table = self.table(slot, length)
        for array, blocks in zip(self._held.values(), columns, strict=True):
            array[table] = blocks[: len(table)]

    def move(self, source: int, to: int, length: int) -> None:  # noqa: ARG002
        """Have slot `source` in slot `to`; what lay there then lies in `source`."""
        self._tables[to], self._tables[source] = self._tables[source], self._tables[to]

    def _open(self, slot: int, length: int) -> None:
        table = self._tables[slot]
        wanted = _blocks_for(length) - len(table)
        if wanted > 0:
            table.extend(range(self._used, self._used + wanted))
            self._used += wanted
            self._grow()

    def _grow(self) -> None:
        """Have arrays for all blocks in use. Those that are not yet are zeros, which cost no memory."""
        room = len(next(iter(self._held.values()))) if self._held else 0
        if self._used <= room:
            return
        for name, shape in self._shapes.items():
            new = np.zeros((max(2 * room, self._used, len(self._tables)), *shape), np.float16)
            if room:
                new[:room] = self._held[name]
            self._held[name] = new
        self._bind(self._held)


def _blocks_for(length: int) -> int:
    return -(-length // BLOCK)

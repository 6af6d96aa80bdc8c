"""A digest of what a forward pass computes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from torch import Tensor

from ge_engine.evaluation.measure.operands import OperandWatch
from ge_engine.evaluation.measure.parameters import storage_of


class GraphWatch(OperandWatch):  # type: ignore[no-untyped-call]
    """`graph` is a digest of the operations with their operands and the shapes of their results, without any
    constant."""

    def __init__(self, registered: Iterable[Tensor], statistics: Collection[int] = ()) -> None:
        super().__init__(registered, statistics)
        self._numbers: dict[int, int] = {}
        self._graph = hashlib.sha256()

    @property
    def graph(self) -> str:
        return self._graph.hexdigest()

    def _saw(self, name: str, operands: list[Tensor], results: list[Tensor]) -> None:
        super()._saw(name, operands, results)
        before, after = (
            [self._numbers.setdefault(storage_of(one), len(self._numbers)) for one in tensors]
            for tensors in (operands, results)
        )
        shapes = [tuple(one.shape) for one in results]
        self._graph.update(f"{name} {before} {after} {shapes}\n".encode())

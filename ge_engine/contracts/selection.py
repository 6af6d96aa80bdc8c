"""Selectors: which individuals become parents and which survive."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from ge_engine.population import Direction, Individual


class Selector(ABC):
    """Chooses by multi-objective rank. Pure: the same individuals and numbers give the same choice."""

    name: str

    @abstractmethod
    def select(
        self,
        individuals: Sequence[Individual],
        k: int,
        directions: Mapping[str, Direction],
        rng: random.Random,
    ) -> list[Individual]:
        """`k` of `individuals`, all of which are scored."""

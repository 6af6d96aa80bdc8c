"""Children, individuals, and the set of all of a run. Plain data, no behaviour of the loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, overload

from ge_engine.genome import Genome
from ge_engine.outcome import Outcome, Rejected, Scored
from ge_engine.pareto import Direction, dominates, pareto_front
from ge_engine.source.patches import SEPARATOR

__all__ = [
    "HAND",
    "SEED_ID",
    "Child",
    "ChildWithoutGenome",
    "Direction",
    "Individual",
    "Migration",
    "Population",
    "Step",
    "dominates",
    "generation_of",
    "individual_id",
    "pareto_front",
    "with_genome",
]

SEED_ID = "seed"
HAND = "hand"
"""The operator of children that somebody has made by hand."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operator's part in an individual. Mating followed by mutation makes two steps. `address` names
    several blocks where they were changed together."""

    operator: str
    persona: str
    intent: str
    address: str
    grammar: str
    note: str = ""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The blocks that it changed."""
        return tuple(self.address.split(SEPARATOR)) if self.address else ()


@dataclass(frozen=True, slots=True)
class Individual:
    """A genome with its parents, the steps that made it, and its outcome once known.

    `id` is "seed" (the seed model) or "g<generation>s<number of the child>".
    `island` is the population that it was generated in, counted from 0 (the seed model begins all of them).
    """

    id: str
    generation: int
    slot: int
    parents: tuple[str, ...]
    steps: tuple[Step, ...]
    genome: Genome
    outcome: Outcome | None = None
    island: int = 0

    @property
    def objectives(self) -> Mapping[str, float]:
        """The scores; empty unless the outcome is `Scored`."""
        return self.outcome.objectives if isinstance(self.outcome, Scored) else {}

    @property
    def errors(self) -> Mapping[str, float]:
        """The standard errors of the scores, as far as they are known."""
        return self.outcome.errors if isinstance(self.outcome, Scored) else {}

    @property
    def scored(self) -> bool:
        return isinstance(self.outcome, Scored)


@dataclass(frozen=True, slots=True)
class ChildWithoutGenome:
    """A child for which no reply gave a genome: no individual, never scored. `outcome` says why."""

    id: str
    generation: int
    slot: int
    parents: tuple[str, ...]
    steps: tuple[Step, ...]
    outcome: Rejected
    island: int = 0

    genome: ClassVar[None] = None
    scored: ClassVar[Literal[False]] = False
    objectives: ClassVar[Mapping[str, float]] = {}
    errors: ClassVar[Mapping[str, float]] = {}


Child = Individual | ChildWithoutGenome
"""What became of a child; the seed model counts as one."""


@dataclass(frozen=True, slots=True)
class Migration:
    """After a generation, a copy of `id` went from the population of island `source` into `target`'s."""

    id: str
    source: int
    target: int


def with_genome(children: Iterable[Child]) -> list[Individual]:
    """Those of `children` that have a genome."""
    return [one for one in children if isinstance(one, Individual)]


def individual_id(generation: int, slot: int) -> str:
    return f"g{generation}s{slot}"


def generation_of(identity: str) -> int:
    """The generation of a child, by its `individual_id`."""
    return int(identity[1:].partition("s")[0])


class Population(Sequence[Individual]):
    """An ordered, immutable set of individuals with look-up by id."""

    def __init__(self, individuals: Iterable[Individual] = ()) -> None:
        self._all = tuple(individuals)
        self._by_id = {one.id: one for one in self._all}

    @overload
    def __getitem__(self, index: int) -> Individual: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Individual, ...]: ...
    def __getitem__(self, index: int | slice) -> Individual | tuple[Individual, ...]:
        return self._all[index]

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Individual]:
        return iter(self._all)

    def get(self, identity: str) -> Individual | None:
        return self._by_id.get(identity)

    def scored(self) -> list[Individual]:
        return [one for one in self._all if one.scored]

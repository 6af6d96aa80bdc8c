"""Individuals and the set of all that a run has bred. Plain data, no behaviour of the loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, overload

from ge_engine.genome import Genome
from ge_engine.outcome import Outcome, Scored

Direction = Literal["min", "max"]
SEED_ID = "seed"


@dataclass(frozen=True, slots=True)
class Step:
    """One operator's part in an individual. Mating followed by mutation makes two steps."""

    operator: str
    persona: str
    intent: str
    address: str
    grammar: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Individual:
    """A genome with its parents, the steps that made it, and its outcome once known.

    `id` is "seed" or "g<generation>s<slot>". `genome` is None when no patch came out of the reply.
    `island` is the population that it was bred in, counted from 0 (the seed begins all of them).
    """

    id: str
    generation: int
    slot: int
    parents: tuple[str, ...]
    steps: tuple[Step, ...]
    genome: Genome | None
    outcome: Outcome | None = None
    island: int = 0

    @property
    def objectives(self) -> Mapping[str, float]:
        """The scores; empty unless the outcome is `Scored`."""
        return self.outcome.objectives if isinstance(self.outcome, Scored) else {}

    @property
    def scored(self) -> bool:
        return isinstance(self.outcome, Scored)


@dataclass(frozen=True, slots=True)
class Move:
    """After a generation, a copy of `id` went from the population of island `source` into `target`'s."""

    id: str
    source: int
    target: int


def individual_id(generation: int, slot: int) -> str:
    return f"g{generation}s{slot}"


def dominates(a: Mapping[str, float], b: Mapping[str, float], directions: Mapping[str, Direction]) -> bool:
    """Pareto dominance: `a` is nowhere worse than `b` and somewhere better."""
    better = False
    for name, direction in directions.items():
        gain = a[name] - b[name] if direction == "max" else b[name] - a[name]
        if gain < 0:
            return False
        better = better or gain > 0
    return better


def improves(
    child: Mapping[str, float], parents: Sequence[Mapping[str, float]], directions: Mapping[str, Direction]
) -> bool:
    """Whether a child dominates one of its parents and none of them dominates it."""
    return any(dominates(child, parent, directions) for parent in parents) and not any(
        dominates(parent, child, directions) for parent in parents
    )


def losses(objectives: Mapping[str, float], directions: Mapping[str, Direction]) -> tuple[float, ...]:
    """The objectives in the order of `directions`, signed so that less is better."""
    return tuple(-objectives[n] if d == "max" else objectives[n] for n, d in directions.items())


def non_dominated(points: Sequence[tuple[float, ...]]) -> list[int]:
    """Indices, rising, of the points (less is better) that no other dominates; of equals the first.

    In lexicographic order a point can only be dominated by one before it (Kung, Luccio and Preparata,
    1975), so each is compared with the front found so far alone.
    """
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (points[i], i)):
        point = points[index]
        if not any(all(a <= b for a, b in zip(points[kept], point, strict=True)) for kept in front):
            front.append(index)
    return sorted(front)


def pareto_front(individuals: Iterable[Individual], directions: Mapping[str, Direction]) -> list[Individual]:
    """The scored individuals that no other dominates; of equal scores, the earliest stays."""
    scored = [one for one in individuals if one.scored]
    return [scored[i] for i in non_dominated([losses(one.objectives, directions) for one in scored])]


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

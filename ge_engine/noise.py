"""What chance explains: figures compared beyond their standard errors, and ties when a run selects."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from ge_engine.pareto import (
    Compared,
    Direction,
    Point,
    advantage,
    best_first,
    losses,
    non_dominated,
    pareto_front,
)

NEGLIGIBLE = 5e-4
"""A smaller share of an exact figure is no difference: it is written as 0.0 %."""


class Measured(Protocol):
    """Figures with standard errors; an objective without one is exact, or its error is not known."""

    @property
    def objectives(self) -> Mapping[str, float]: ...
    @property
    def errors(self) -> Mapping[str, float]: ...


class Candidate(Measured, Compared, Protocol):
    """What can stand on a front."""

    @property
    def id(self) -> str: ...


One = TypeVar("One", bound=Candidate)


# --- what may be said -----------------------------------------------------------------------------


def error_of_difference(a: Measured, b: Measured, name: str) -> float:
    """The standard error of a difference in one objective, as of independent figures; 0 of exact ones."""
    return math.hypot(a.errors.get(name, 0.0), b.errors.get(name, 0.0))


def beyond_noise(a: Measured, b: Measured, directions: Mapping[str, Direction]) -> dict[str, int]:
    """By objective: 1 where `a` is better than `b` by more than the standard error of the difference, -1
    where it is worse by more, 0 where chance explains it."""
    signs = {}
    for name, direction in directions.items():
        gain = advantage(a.objectives[name], b.objectives[name], direction)
        error = error_of_difference(a, b, name)
        least = error or NEGLIGIBLE * abs(b.objectives[name])
        signs[name] = 0 if abs(gain) <= least else 1 if gain > 0 else -1
    return signs


def clearly_better(a: Measured, b: Measured, directions: Mapping[str, Direction]) -> bool:
    """Whether `a` dominates `b` beyond noise: better in some objective, worse in none."""
    signs = beyond_noise(a, b, directions).values()
    return max(signs) > 0 and min(signs) >= 0


def improves(child: Measured, parents: Iterable[Measured], directions: Mapping[str, Direction]) -> bool:
    """Whether a child is better than its parents beyond noise: than one of them, and none than it."""
    known = list(parents)
    return any(clearly_better(child, parent, directions) for parent in known) and not any(
        clearly_better(parent, child, directions) for parent in known
    )


# --- what ties in selection -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ties:
    """A grid by objective: figures in one cell are equal when the run selects.

    Additive epsilon-boxes (Laumanns, Thiele, Deb and Zitzler, "Combining Convergence and Diversity in
    Evolutionary Multiobjective Optimization", Evolutionary Computation 10(3), 2002), so that to be no worse
    stays transitive, which "within one standard error" is not. An objective without a width is compared as
    it is; without any width nothing ties.
    """

    centres: Mapping[str, float] = field(default_factory=dict)
    widths: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def around(cls, seed: Measured, errors: float) -> Ties:
        """Cells as wide as `errors` standard errors of the seed model, whose figure is the middle of one."""
        widths = {name: errors * error for name, error in seed.errors.items() if errors * error > 0}
        return cls({name: seed.objectives[name] for name in widths}, widths)

    def seen(self, objectives: Mapping[str, float]) -> Mapping[str, float]:
        """The figures as selection sees them: the middle of their cells."""
        if not self.widths:
            return objectives
        return {name: self._middle(name, value) for name, value in objectives.items()}

    def _middle(self, name: str, value: float) -> float:
        centre, width = self.centres.get(name, 0.0), self.widths.get(name, 0.0)
        steps = (value - centre) / width if width else math.inf
        return centre + math.floor(steps + 0.5) * width if math.isfinite(steps) else value

    def boxes(
        self, individuals: Iterable[One], directions: Mapping[str, Direction]
    ) -> dict[Point, list[One]]:
        """The scored individuals by the losses that selection sees."""
        found: dict[Point, list[One]] = {}
        for one in individuals:
            if one.scored:
                found.setdefault(losses(self.seen(one.objectives), directions), []).append(one)
        return found

    def better_first(
        self, chosen: Sequence[One], among: Iterable[One], directions: Mapping[str, Direction]
    ) -> list[One]:
        """`chosen`, but for those of one box stand the better ones in it by their own figures."""
        if not self.widths:
            return list(chosen)
        stands = {one.id: one for one in chosen}
        for box in self.boxes(among, directions).values():
            here = {one.id for one in box}
            taken = [name for name in stands if name in here]
            if len(box) > 1 and taken:
                order = best_first([losses(one.objectives, directions) for one in box])
                stands |= {name: box[at] for name, at in zip(taken, order, strict=False)}
        return [stands[one.id] for one in chosen]


NO_TIES = Ties()


def front_of(
    individuals: Iterable[One], directions: Mapping[str, Direction], ties: Ties = NO_TIES
) -> list[One]:
    """The Pareto front: the scored individuals whose box no other's dominates, and of one box those that none
    in it dominates by its own figures, which is a strict partial order. Of equals the earliest stays."""
    everybody = list(individuals)
    if not ties.widths:
        return pareto_front(everybody, directions)
    boxes = ties.boxes(everybody, directions)
    points = list(boxes)
    kept = {id(one) for at in non_dominated(points) for one in pareto_front(boxes[points[at]], directions)}
    return [one for one in everybody if id(one) in kept]

"""What chance explains: figures compared beyond their standard errors, and ties when a run selects."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
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
from ge_engine.tolerances import Tolerances

CHANCE = 0.05
"""How often chance alone is taken for a difference, in either direction, over all that is compared."""
TIE = 1.0
"""Standard errors of a difference within which two figures are as good as each other."""
NEGLIGIBLE = 5e-4
"""A smaller share of an exact figure is no difference: it is written as 0.0 %."""
COUNTED, LARGE = 0.01, 100
"""A smaller share of what is counted, such as parameters, is no finding, where there are at least `LARGE`."""
NO_TOLERANCES: Tolerances = {}
NEAR_CHANCE = 0.1
"""The share of the way from guessing to no mistake, below which a figure is near chance."""


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


def margin(comparisons: int = 1) -> float:
    """The standard errors beyond which a difference is no chance, at `CHANCE`: 1.96 for one comparison, more
    where the largest of several is told. The correction for `comparisons` is Bonferroni's (Dunn, "Multiple
    Comparisons among Means", Journal of the American Statistical Association 56, 1961); it assumes errors
    that are about normal."""
    return NormalDist().inv_cdf(1 - CHANCE / (2 * max(1, comparisons)))


def beyond_noise(
    a: Measured,
    b: Measured,
    directions: Mapping[str, Direction],
    comparisons: int = 1,
    tolerances: Tolerances = NO_TOLERANCES,
) -> dict[str, int]:
    """By objective: 1 where `a` is better than `b` by more than `margin` standard errors of the difference
    and more than is tolerated, -1 where it is worse by more, 0 where that explains it."""
    least = margin(comparisons)
    return {
        name: _sign(a, b, name, direction, least, least, tolerances) for name, direction in directions.items()
    }


def clearly_better(
    a: Measured,
    b: Measured,
    directions: Mapping[str, Direction],
    comparisons: int = 1,
    tolerances: Tolerances = NO_TOLERANCES,
) -> bool:
    """Whether `a` is better than `b` beyond noise in some objective, and worse in none by more than one
    standard error: a loss that cannot be told from chance is not yet none. Less than is tolerated is
    neither."""
    least = margin(comparisons)
    signs = [_sign(a, b, name, how, least, TIE, tolerances) for name, how in directions.items()]
    return max(signs) > 0 and min(signs) >= 0


def as_good(
    a: Measured, b: Measured, name: str, direction: Direction, tolerances: Tolerances = NO_TOLERANCES
) -> bool:
    """Whether `a` is not worse than `b` in one objective by more than one standard error and more than is
    tolerated."""
    return _sign(a, b, name, direction, math.inf, TIE, tolerances) >= 0


def _sign(
    a: Measured,
    b: Measured,
    name: str,
    direction: Direction,
    gain: float,
    loss: float,
    tolerances: Tolerances,
) -> int:
    """1 for a gain and -1 for a loss of more than so many standard errors, of which an exact figure has none,
    and of more than is tolerated."""
    gained = advantage(a.objectives[name], b.objectives[name], direction)
    error = error_of_difference(a, b, name)
    noise = error * (gain if gained > 0 else loss) if error else 0.0
    tolerance = tolerances.get(name)
    own = 0.0 if error else _negligible(a, b, name)
    least = max(noise, tolerance.around(b.objectives[name]) if tolerance else own)
    return 0 if abs(gained) <= least else 1 if gained > 0 else -1


def _negligible(a: Measured, b: Measured, name: str) -> float:
    """The difference of an exact figure that is none."""
    old, new = b.objectives[name], a.objectives[name]
    counts = abs(old) >= LARGE and float(old).is_integer() and float(new).is_integer()
    return (COUNTED if counts else NEGLIGIBLE) * abs(old)


def near_chance(one: Measured, chance: Mapping[str, float]) -> dict[str, float]:
    """What guesses reach, of the objectives in which `one` is hardly better than that, or not beyond its
    error. `chance` is of shares that are to be large."""
    return {
        name: guessed
        for name, guessed in chance.items()
        if one.objectives[name] - guessed
        <= max(NEAR_CHANCE * (1 - guessed), margin() * one.errors.get(name, 0.0))
    }


def improves(
    child: Measured,
    parents: Iterable[Measured],
    directions: Mapping[str, Direction],
    tolerances: Tolerances = NO_TOLERANCES,
) -> bool:
    """Whether a child is better than its parents beyond noise: than one of them, and none than it."""
    known = list(parents)

    def beats(one: Measured, other: Measured) -> bool:
        return clearly_better(one, other, directions, tolerances=tolerances)

    return any(beats(child, parent) for parent in known) and not any(beats(parent, child) for parent in known)


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

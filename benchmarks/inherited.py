"""What children ranked like by short and inherited trainings: figures of `bench_inherit`."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ge_engine.ledger.score_key import counted

WHOLE, SHORT, INHERITED = "whole", "short", "inherited"
ARMS = (WHOLE, SHORT, INHERITED)
"""All epochs from scratch, as few from scratch as one trains that inherits all, and inherited."""
LOW = 0.5
"""A share of inherited parameters below this is low."""


@dataclass(frozen=True, slots=True)
class Training:
    """One training of a child, "" for the seed model: its accuracy in validation (None: it failed), the share
    of its parameters that was inherited, its epochs, and its seconds on one core."""

    child: str
    kind: str
    arm: str
    seed: int
    accuracy: float | None
    share: float
    epochs: int
    seconds: float


Table = Mapping[tuple[str, int], Mapping[str, Training]]
"""By arm and random seed: the trainings by child, the same children in all arms of a seed."""


def tabled(trainings: Iterable[Training]) -> Table:
    """Without children that failed, or are not trained yet, in one of a random seed's arms."""
    found: dict[tuple[str, int], dict[str, Training]] = {}
    for one in trainings:
        if one.child and one.accuracy is not None:
            found.setdefault((one.arm, one.seed), {})[one.child] = one
    seeds = {seed for _, seed in found}
    whole = {seed: set.intersection(*(set(found.get((arm, seed), {})) for arm in ARMS)) for seed in seeds}
    return {
        (arm, seed): {child: held[child] for child in sorted(whole[seed])}
        for (arm, seed), held in sorted(found.items())
        if len(whole[seed]) > 1
    }


def ranks(values: Sequence[float]) -> list[float]:
    """From 1 on; equal values share the mean of their ranks."""
    from scipy import stats  # imported late: it takes a second

    return [float(rank) for rank in stats.rankdata(values)]


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's: the correlation of the ranks; 0 where either side has but one rank."""
    sides = ranks(one), ranks(other)
    if any(len(set(side)) == 1 for side in sides):
        return 0.0
    return statistics.correlation(*sides)


def correlations(table: Table, arm: str) -> list[float]:
    """With the whole trainings, one for each random seed."""
    return [
        rank_correlation(accuracies(held), accuracies(table[WHOLE, seed]))
        for (name, seed), held in table.items()
        if name == arm
    ]


def repeated(table: Table) -> list[float]:
    """Of whole trainings with those of other random seeds, by the children that both have: what any shorter
    training could reach."""
    whole = [held for (arm, _), held in table.items() if arm == WHOLE]
    found = []
    for one, other in itertools.combinations(whole, 2):
        both = one.keys() & other.keys()
        if len(both) > 1:
            sides = ({child: held[child] for child in sorted(both)} for held in (one, other))
            found.append(rank_correlation(*map(accuracies, sides)))
    return found


def accuracies(held: Mapping[str, Training]) -> list[float]:
    return [one.accuracy or 0.0 for one in held.values()]


def rank_errors(table: Table, chosen: Callable[[float], bool]) -> list[float]:
    """How many ranks inherited trainings lie beside the whole ones, of the children whose share is
    `chosen`."""
    errors = []
    for (arm, seed), held in table.items():
        if arm == INHERITED:
            pairs = zip(ranks(accuracies(held)), ranks(accuracies(table[WHOLE, seed])), strict=True)
            beside = [abs(mine - whole) for mine, whole in pairs]
            errors += [e for e, one in zip(beside, held.values(), strict=True) if chosen(one.share)]
    return errors


def lines(table: Table, epochs: int, short: int) -> list[str]:
    """The table that is printed."""
    names = {
        WHOLE: f"{counted(epochs)} from scratch",
        SHORT: f"{counted(short)} from scratch",
        INHERITED: "inherited",
    }
    told = [f"{'':28}{'rank correlation':>20}{'seconds':>12}{'epochs':>9}"]
    for arm in ARMS:
        trained = [one for (name, _), held in table.items() if name == arm for one in held.values()]
        found = repeated(table) if arm == WHOLE else correlations(table, arm)
        sums = sum(one.seconds for one in trained), sum(one.epochs for one in trained)
        told.append(f"{names[arm]:28}{_spread(found):>20}{sums[0]:>12,.0f}{sums[1]:>9,}")
    told.append(f"({names[WHOLE]}: with those of other random seeds)")
    low, others = (rank_errors(table, one) for one in (lambda s: s < LOW, lambda s: s >= LOW))
    told.append(
        f"ranks by which inherited trainings are off: {_spread(low)} of {len(low)} that inherit less than "
        f"{LOW:.0%}, {_spread(others)} of {len(others)} others"
    )
    return told


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "unknown"
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{deviation}"

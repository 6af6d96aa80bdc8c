"""What a part of the method is worth: the same run without it, under equal budgets, several times."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count as integers
from pathlib import Path
from typing import Any

from ge_engine import loop
from ge_engine.config import RunConfig
from ge_engine.errors import ConfigError
from ge_engine.genome import Seed
from ge_engine.ledger.history import History
from ge_engine.pareto import Point, box, growth, losses
from ge_engine.registry import Registry

SIGNIFICANT = 0.05
DEALS = 100_000
ROUNDS = 3
"""How many times the generations an arm may take until it has used its evaluations: children that are
rejected use none."""

ARMS: Mapping[str, Callable[[RunConfig], RunConfig]] = {
    "full": lambda config: config,
    "no-eot": lambda config: _without(config, "eot"),
    "no-personas": lambda config: replace(config, personas=("none",)),
    "no-mating": lambda config: _without(config, "mating"),
    "uniform": lambda config: replace(config, llm=("uniform",)),
    "tune-only": lambda config: replace(config, operators=("tune",)),
    "tpe": lambda config: replace(config, operators=("tpe",)),
}


@dataclass(frozen=True, slots=True)
class Arm:
    """Hypervolumes of one arm's repeats, 0..1 of the box around all points of all arms.

    `traces` hold one value for each evaluation, the baseline's first. `p_value` is that of the two-sided
    rank-sum test against the first arm, times the number of arms that are tested against it (Bonferroni's
    correction; None for the first itself).
    """

    name: str
    traces: tuple[tuple[float, ...], ...]
    p_value: float | None

    @property
    def finals(self) -> tuple[float, ...]:
        return tuple(trace[-1] for trace in self.traces)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.finals)

    @property
    def spread(self) -> float:
        """Sample standard deviation; 0 for one repeat."""
        return statistics.stdev(self.finals) if len(self.finals) > 1 else 0.0

    @property
    def verdict(self) -> str:
        """What may be said about the difference from the first arm."""
        if self.p_value is None:
            return ""
        said = "differs" if self.p_value < SIGNIFICANT else "no difference shown"
        return f"{said} (p = {self.p_value:.3f})"


def ablate(
    seed: Seed,
    config: RunConfig,
    registry: Registry,
    folder: Path,
    arms: Sequence[str],
    repeats: int,
    observe: Callable[[str, int, str, Mapping[str, Any]], None],
    *,
    allow_changes: bool = False,
) -> list[Arm]:
    """Run every arm `repeats` times in `folder`/ARM-REPEAT; what is there already is resumed.

    Repeat r of each arm has random seed `config.random_seed` + r and as many evaluations as
    `config.max_evaluations`, or one for each child and the seed model when that is 0. `observe` gets the arm,
    the repeat and the run's event.

    Raises:
        ConfigError: an unknown arm, fewer than one repeat.
        GeError: as `ge_engine.loop.run`.
    """
    unknown = [name for name in arms if name not in ARMS]
    if unknown or not arms or repeats < 1:
        said = (
            f"There is no arm {unknown[0]!r}." if unknown else "At least one arm and one repeat are needed."
        )
        raise ConfigError(said, f"Arms are: {', '.join(ARMS)}.")
    points: dict[str, list[list[Point]]] = {}
    for name in dict.fromkeys(arms):
        for repeat in range(repeats):
            run = folder / f"{name}-{repeat}"

            def tell(event: str, data: Mapping[str, Any], name: str = name, repeat: int = repeat) -> None:
                observe(name, repeat, event, data)

            settings = _settings(config, name, repeat)
            loop.run(seed, settings, registry, run, tell, allow_changes=allow_changes)
            points.setdefault(name, []).append(_points(run))
    return compare(points)


def too_few(arms: Sequence[Arm]) -> tuple[float, int] | None:
    """Where the repeats are too few to show a difference: the least p-value that the test can give, and how
    many repeats would do."""
    tests, first = len(arms) - 1, len(arms[0].traces)
    ends = (min(1.0, tests * smallest_p_value(first, len(arm.traces))) for arm in arms[1:])
    least = max(ends, default=0.0)
    if least < SIGNIFICANT:
        return None
    return least, next(n for n in integers(2) if tests * smallest_p_value(n, n) < SIGNIFICANT)


def compare(points: Mapping[str, Sequence[Sequence[Point]]]) -> list[Arm]:
    """Arms from the losses of their repeats, in the order in which they were scored; the first is the
    one that the others are tested against."""
    tests = max(1, len(points) - 1)
    ideal, reference = box([point for runs in points.values() for run in runs for point in run])
    arms: list[Arm] = []
    for name, runs in points.items():
        traces = tuple(tuple(growth(run, ideal, reference)) for run in runs)
        finals = [trace[-1] for trace in traces]
        p_value = min(1.0, tests * rank_sum(arms[0].finals, finals)) if arms else None
        arms.append(Arm(name, traces, p_value))
    return arms


def rank_sum(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p-value of the rank-sum test (Wilcoxon 1945; Mann and Whitney 1947), ties at mid-ranks.

    By SciPy's permutation test: exact, over all ways to deal the values out to both sides, up to `DEALS` of
    them, and over that number of drawn ones above it. One value against others shows nothing: 1.
    """
    if min(len(first), len(second)) < 2:
        return 1.0
    from scipy import stats  # imported late: it takes a second

    ranks = stats.rankdata([*first, *second])
    sides = (ranks[: len(first)], ranks[len(first) :])

    def rank_sums(one: Any, other: Any, axis: int) -> Any:  # noqa: ARG001 (SciPy gives both sides)
        return one.sum(axis=axis)

    result = stats.permutation_test(
        sides, rank_sums, n_resamples=DEALS, vectorized=True, alternative="two-sided", rng=0
    )
    return float(result.pvalue)


def smallest_p_value(first: int, second: int) -> float:
    """What the rank-sum test of `first` values against `second` gives at the least: 0.1 for three against
    three, which is why three repeats can show no difference."""
    return min(1.0, 2 / math.comb(first + second, first))


def _settings(config: RunConfig, arm: str, repeat: int) -> RunConfig:
    budget = config.max_evaluations or config.generations * config.population + 1
    generations = ROUNDS * -(-budget // config.population)
    plain = replace(config, generations=generations, max_evaluations=budget)
    return ARMS[arm](replace(plain, random_seed=config.random_seed + repeat))


def _points(run: Path) -> list[Point]:
    with History(run) as history:
        directions = history.directions
        return [losses(values, directions) for _, _, values in history.scored_points()]


def _without(config: RunConfig, operator: str) -> RunConfig:
    return replace(config, operators=tuple(name for name in config.operators if name != operator))

"""What the searches of several arms found: figures of `bench_search`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.course import Course
from ge_engine.ablation import Arm, compare
from ge_engine.ledger import History
from ge_engine.outcome import Scored
from ge_engine.pareto import Point, losses
from ge_engine.population import SEED_ID

SIZE, QUALITY = "parameters", "accuracy"
MARKS = 5
"""Columns of the table of hypervolumes: numbers of evaluations, spread over the longest run."""
WANTED_GAIN, WANTED_P, WANTED_SIZE = 1.3, 0.05, 0.5
"""Times the gain of the arm that is compared with; the p-value; the share of the seed model's parameters."""


@dataclass(frozen=True, slots=True)
class Search:
    """A finished run: the losses of all that was scored, in its order, and by split and individual the
    accuracy, its standard error and the parameters; its course, where its processor seconds were measured."""

    name: str
    points: tuple[Point, ...]
    validation: Mapping[str, tuple[float, float, float]]
    test: Mapping[str, tuple[float, float, float]]
    course: Course | None = None

    @classmethod
    def of(cls, run: Path) -> Search:
        """Read from the run's folder."""
        with History(run) as history:
            points = [losses(values, history.directions) for _, _, values in history.scored_points()]
            validation = {identity: _figures(one) for identity, _, one in history.scored()}
            tests = history.test_outcomes().items()
        test = {name: _figures(one) for name, one in tests if isinstance(one, Scored)}
        return cls(run.name, tuple(points), validation, test, Course.of(run))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Search:
        """From what `dataclasses.asdict` and JSON made of one; older ones have no course."""
        course = data.get("course")
        splits = ({name: tuple(one) for name, one in data[split].items()} for split in ("validation", "test"))
        return cls(
            data["name"], tuple(map(tuple, data["points"])), *splits, course and Course.from_json(course)
        )


@dataclass(frozen=True, slots=True)
class Found:
    """The smallest child of a run that is at least as accurate as the seed model on validation and on the
    test split, as a share of its parameters; the two differences in accuracy with their standard errors."""

    id: str
    size: float
    validation: tuple[float, float]
    test: tuple[float, float]

    def in_words(self) -> str:
        sides = {"validation": self.validation, "test": self.test}
        told = [f"{100 * gain:+.2f} ± {100 * error:.2f} on {name}" for name, (gain, error) in sides.items()]
        return ", ".join([self.id, f"{100 * self.size:.1f} % of the parameters", *told])


def finished(run: Path) -> bool:
    """Whether a run has ended by itself, its test figures included."""
    if not (run / "ledger.sqlite").is_file():
        return False
    with History(run) as history:
        return bool(history.stopped_because and history.test_outcomes())


def arms_of(searches: Mapping[str, Sequence[Search]]) -> list[Arm]:
    """Hypervolumes by arm, in one box around all of them; the first arm is the one compared with."""
    return compare({name: [list(one.points) for one in several] for name, several in searches.items()})


def gains(arm: Arm) -> list[float]:
    """The hypervolume that each run added to its seed model's."""
    return [trace[-1] - trace[0] for trace in arm.traces]


def median_run(arm: Arm) -> int:
    """Which run of the arm has the median hypervolume; of an even number the lower one."""
    order = sorted(range(len(arm.finals)), key=lambda at: (arm.finals[at], at))
    return order[(len(order) - 1) // 2]


def smallest_as_good(search: Search) -> Found | None:
    """The smallest child with figures of both splits that lies below the seed model's in neither; None
    without one. A child that was not tested, for it was on no front, does not count."""
    validation, test = search.validation, search.test
    if SEED_ID not in validation or SEED_ID not in test:
        return None
    found = []
    for name in sorted((validation.keys() & test.keys()) - {SEED_ID}):
        sides = tuple(_gain(figures[name], figures[SEED_ID]) for figures in (validation, test))
        size = validation[name][-1] / validation[SEED_ID][-1]
        if min(gain for gain, _ in sides) >= 0:
            found.append(Found(name, size, *sides))
    return min(found, key=lambda one: one.size, default=None)


def _figures(one: Scored) -> tuple[float, float, float]:
    return one.objectives[QUALITY], one.errors.get(QUALITY, 0.0), one.objectives[SIZE]


def _gain(child: tuple[float, float, float], seed: tuple[float, float, float]) -> tuple[float, float]:
    return child[0] - seed[0], math.hypot(child[1], seed[1])


def table(arms: Sequence[Arm]) -> list[str]:
    """Hypervolume over evaluations, mean ± standard deviation over the runs, and what may be said of it."""
    longest = max(len(trace) for arm in arms for trace in arm.traces)
    marks = sorted({1 + round(at * (longest - 1) / (MARKS - 1)) for at in range(MARKS)})
    lines = ["hypervolume after".ljust(20) + "".join(f"{mark:>16}" for mark in marks) + "  evaluations"]
    for arm in arms:
        columns = [[trace[min(mark, len(trace)) - 1] for trace in arm.traces] for mark in marks]
        lines.append(arm.name.ljust(20) + "".join(f"{spread(values):>16}" for values in columns))
    first = arms[0]
    lines.append("")
    lines.append(f"improvement over the baseline, and against {first.name}:")
    base = statistics.fmean(gains(first))
    for arm in arms:
        mean = statistics.fmean(gains(arm))
        times = f"  {mean / base:.2f} times" if base and arm is not first else ""
        p = f"  p = {arm.p_value:.4f} (rank sum, Bonferroni)" if arm.p_value is not None else ""
        lines.append(f"{arm.name:20}{spread(gains(arm)):>16}{times}{p}")
    return lines


def missed(arms: Sequence[Arm], found: Mapping[str, Found | None]) -> list[str]:
    """What is wanted of every arm against the first and is not there, in words."""
    first, *others = arms
    base = statistics.fmean(gains(first))
    short = []
    for arm in others:
        mean = statistics.fmean(gains(arm))
        if mean < WANTED_GAIN * base:
            short.append(f"{arm.name}: {mean:.4f} is less than {WANTED_GAIN} times {base:.4f}")
        if arm.p_value is None or arm.p_value >= WANTED_P or mean <= base:
            short.append(f"{arm.name}: not above {first.name} at p < {WANTED_P}")
        one = found.get(arm.name)
        if one is None or one.size > WANTED_SIZE:
            short.append(f"{arm.name}: its median run has no such child of {WANTED_SIZE:.0%} of the size")
    return short


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation; of one value 0."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.4f} ± {deviation:.4f}"

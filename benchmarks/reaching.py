"""After how many processor seconds searches had come how far: figures of `bench_search`."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.course import Course
from benchmarks.searched import spread
from ge_engine.pareto import box, normalised

MARKS = 6
"""Columns of the table, spread evenly over the longest run."""
SHARES = (0.5, 0.75, 0.9, 1.0)
"""Of what the arm that is compared with gained over the seed model."""
HALF = 0.5
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Pace:
    """A run's hypervolume, 0..1 of the box around all runs, from each of `seconds` until the next; 0 before
    the first. It can fall: a child that looked better by its inherited score need not be. `finalists` are the
    seconds of the trainings after them."""

    seconds: tuple[float, ...]
    volumes: tuple[float, ...]
    finalists: float

    def at(self, seconds: float) -> float:
        return next(
            (v for s, v in zip(self.seconds[::-1], self.volumes[::-1], strict=True) if s <= seconds), 0.0
        )

    def with_finalists(self) -> Pace:
        """As one that knows nothing before its finalists are trained."""
        return Pace(tuple(one + self.finalists for one in self.seconds), self.volumes, 0.0)


def paces(courses: Mapping[str, Sequence[Course]]) -> dict[str, list[Pace]]:
    """By arm, in one box around the points of all arms."""
    ideal, reference = box(
        [p for several in courses.values() for one in several for p in one.points.values()]
    )
    return {
        arm: [
            Pace(
                one.seconds,
                tuple(normalised(front, ideal, reference) for front in one.found()),
                one.finalists,
            )
            for one in several
        ]
        for arm, several in courses.items()
    }


def mean(runs: Sequence[Pace]) -> Pace:
    """The mean of the runs' hypervolumes; a run that has ended stays where it is."""
    seconds = sorted({at for run in runs for at in run.seconds})
    return Pace(tuple(seconds), tuple(statistics.fmean(run.at(s) for run in runs) for s in seconds), 0.0)


def reached(run: Pace, volume: float) -> float | None:
    """The seconds from which on a run had at least so much hypervolume until its end; None where it ended
    with less."""
    found = None
    for seconds, held in zip(run.seconds[::-1], run.volumes[::-1], strict=True):
        if held < volume - ROUNDING:
            break
        found = seconds
    return found


def lines(courses: Mapping[str, Sequence[Course]], arm: str, other: str) -> list[str]:
    """The table of all arms, and how `arm` compares with the `other` where both are there."""
    found = paces(courses)
    told = [*_table(found), "", *(_spent(name, several) for name, several in courses.items())]
    if arm in found and other in found:
        told += ["", *_compared(found, arm, other)]
    return told


def _table(found: Mapping[str, Sequence[Pace]]) -> list[str]:
    longest = max(run.seconds[-1] for several in found.values() for run in several)
    marks = [longest * (1 + number) / MARKS for number in range(MARKS)]
    told = [
        "hypervolume after".ljust(20) + "".join(f"{mark:>16,.0f}" for mark in marks) + "  processor seconds"
    ]
    for name, several in found.items():
        columns = [[run.at(mark) for run in several] for mark in marks]
        told.append(name.ljust(20) + "".join(f"{spread(values):>16}" for values in columns))
    return told


def _spent(name: str, several: Sequence[Course]) -> str:
    search = statistics.fmean(one.seconds[-1] for one in several)
    finalists = statistics.fmean(one.finalists for one in several)
    besides = statistics.fmean(one.besides for one in several)
    return (
        f"{name}: processor seconds of a run: {search:,.0f} until its last score, {finalists:,.0f} for "
        f"finalists after it; {besides:,.0f} besides, of this benchmark's trainings from scratch"
    )


def _compared(found: Mapping[str, Sequence[Pace]], arm: str, other: str) -> list[str]:
    one, base = mean(found[arm]), mean(found[other])
    first, final = statistics.fmean(run.volumes[0] for run in found[other]), base.volumes[-1]
    told = [f"share of what {other} gained (mean hypervolume {first:.4f} to {final:.4f}), and seconds to it:"]
    for share in SHARES:
        told.append(f"{share:>6.0%}  {_against(one, base, first + share * (final - first), arm, other)}")
    both = [mean([run.with_finalists() for run in found[name]]) for name in (arm, other)]
    told.append(f"with the finalists' seconds in both:  {_against(*both, final, arm, other)}")
    ends = [reached(run, final) for run in found[arm]]
    needed = reached(base, final)
    quick = [end for end in ends if end is not None and needed is not None and end <= HALF * needed]
    there = [end for end in ends if end is not None]
    told.append(
        f"runs of {arm} that reach {final:.4f}: {len(there)} of {len(ends)}, "
        f"{len(quick)} of them in at most {HALF:.0%} of the seconds"
    )
    return told


def _against(one: Pace, base: Pace, volume: float, arm: str, other: str) -> str:
    sides = {arm: reached(one, volume), other: reached(base, volume)}
    told = [f"{name} {'never' if s is None else f'{s:,.0f} s'}".ljust(24) for name, s in sides.items()]
    mine, theirs = sides.values()
    return "".join([*told, f"{theirs / mine:.2f} times" if mine and theirs else ""]).rstrip()

"""How far a run had come after how many processor seconds, in figures of trainings from scratch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.meter import Meter
from benchmarks.records import Records
from ge_engine.ledger import History
from ge_engine.noise import front_of
from ge_engine.outcome import INHERITED, Outcome, Scored
from ge_engine.pareto import Point, losses
from ge_engine.population import Individual

SCORED = """
SELECT i.id, s.at FROM individuals i JOIN scores s ON s.digest = i.digest
WHERE s.split = 'validation' AND s.seed = 0 AND s.epochs = 0 AND i.stage IS NULL
ORDER BY s.at, i.generation, i.slot
"""


@dataclass(frozen=True, slots=True)
class Course:
    """`seconds` and `fronts` have one entry for each score, in the order in which they came: the processor
    seconds until then, and who stood on the run's own front. `points` are the losses of all who ever did,
    trained from scratch for all epochs; one whose such training failed has none.

    `whole` are the run's processor seconds with the trainings of finalists at its end, `besides` those that
    the benchmark spent on trainings from scratch.
    """

    seconds: tuple[float, ...]
    fronts: tuple[tuple[str, ...], ...]
    points: Mapping[str, Point]
    whole: float
    besides: float

    @classmethod
    def of(cls, run: Path) -> Course | None:
        """Read from a run's folder and what lies beside it; None of a run whose seconds were not measured
        from its first score on."""
        meter = meter_of(run)
        with History(run) as history:
            times, fronts = zip(*_fronts(history), strict=True)
            if meter.began > times[0]:
                return None
            members = dict.fromkeys(name for front in fronts for name in front)
            scores = {name: one for name, _, one in history.scored() if name in members}
            own = {
                name: losses(one.objectives, history.directions)
                for name, one in scores.items()
                if not inherits(one)
            }
        points = own | {row["id"]: tuple(row["point"]) for row in scratch(run).read() if row["point"]}
        besides = scratch_meter_of(run).total
        return cls(tuple(meter.until(times)), fronts, points, meter.total, besides)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Course:
        """From what `dataclasses.asdict` and JSON made of one."""
        points = {name: tuple(point) for name, point in data["points"].items()}
        fronts = tuple(map(tuple, data["fronts"]))
        return cls(tuple(data["seconds"]), fronts, points, data["whole"], data["besides"])

    @property
    def finalists(self) -> float:
        """Processor seconds after the last score of the search: the finalists' trainings."""
        return self.whole - self.seconds[-1]

    def found(self) -> list[list[Point]]:
        """The points of each front that are known."""
        return [[self.points[name] for name in front if name in self.points] for front in self.fronts]


def inherits(one: Outcome | None) -> bool:
    """Whether a score is that of a training which began with its parent's weights."""
    return isinstance(one, Scored) and one.figures.get(INHERITED, 0.0) > 0


def left_of(run: Path) -> list[Individual]:
    """Those who stood on the run's own front by a score that is inherited, and are not trained from scratch
    yet."""
    known = {row["id"] for row in scratch(run).read()}
    with History(run) as history:
        names = dict.fromkeys(name for _, front in _fronts(history) for name in front)
        members = [history.individual(name) for name in names if name not in known]
    return [one for one in members if isinstance(one, Individual) and inherits(one.outcome)]


def scratch(run: Path) -> Records:
    """What members of the run's fronts reached from scratch."""
    return Records(run.with_name(f"{run.name}.scratch.jsonl"), {}, "training")


def meter_of(run: Path) -> Meter:
    return Meter(run.with_name(f"{run.name}.seconds.jsonl"))


def scratch_meter_of(run: Path) -> Meter:
    return Meter(run.with_name(f"{run.name}.scratch-seconds.jsonl"))


def _fronts(history: History) -> Iterator[tuple[float, tuple[str, ...]]]:
    """After each score its Unix time and the front that the run itself had then, with its ties."""
    front: Sequence[Individual] = []
    for name, at in history.query(SCORED):
        one = history.individual(name)
        if isinstance(one, Individual) and one.scored:
            front = front_of([*front, one], history.directions, history.ties)
            yield at, tuple(member.id for member in front)

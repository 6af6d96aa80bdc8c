"""What became of a run's children: the checks, success by group, and the hypervolume's growth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ge_engine.contracts import Check
from ge_engine.ledger.statistics import factors_of
from ge_engine.outcome import SCREEN, STAGES, shown_stage
from ge_engine.pareto import losses, volumes
from ge_engine.population import SEED_ID
from ge_engine.report.data import RunData
from ge_engine.report.rows import Row

BEFORE_CHECKS = tuple(stage.name for stage in STAGES if stage.when == "reply")
Group = Literal["operator", "intent", "persona", "block"]
GROUPS: tuple[Group, ...] = ("operator", "intent", "persona", "block")
FATES = ("on the front", "better than its parents", "trained", "failed in training", "rejected")


@dataclass(frozen=True, slots=True)
class PipelineStep:
    """A check, or what comes before and after them: how many children passed it and how many it took out."""

    name: str
    passed: int
    lost: int


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason that was given `count` times at `stage`; `example` is an individual's id, "" where a large run
    shows none."""

    stage: str
    reason: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Children of one group by their fate, in the order of `FATES`."""

    name: str
    fates: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.fates)


@dataclass(frozen=True, slots=True)
class Progress:
    """The hypervolume (share of the box between the ideal and the reference point, 0..1) after each
    evaluation that was scored, the baseline's first. `starts` are the evaluations where a generation
    begins."""

    volumes: tuple[float, ...]
    starts: tuple[tuple[int, int], ...]


def check_order(checks: Iterable[Check]) -> tuple[str, ...]:
    """The stages that a child passes: the reply, static checks, the probe and its checks, constraints."""
    ordered = sorted(checks, key=lambda check: (check.order, check.name))
    static = tuple(check.name for check in ordered if check.kind == "static")
    probe = tuple(check.name for check in ordered if check.kind == "probe")
    probing, scoring = ([one.name for one in STAGES if one.when == when] for when in ("probe", "score"))
    return (*BEFORE_CHECKS, *static, *probing, *probe, *scoring)


def check_pipeline(run: RunData) -> list[PipelineStep]:
    """The checks as a funnel: all children first, then each that took any out, then training.

    A name that no check has (of a plugin that is gone) stands before the static checks.
    """
    children = [row for row in run.children if row.state != "waiting"]
    lost = Counter(row.stage for row in children if row.state == "rejected")
    known = {name: place for place, name in enumerate(run.checks)}
    stages = sorted(lost, key=lambda name: (known.get(name, len(BEFORE_CHECKS) - 0.5), name))
    left = len(children)
    steps = [PipelineStep("children generated", left, 0)]
    for stage in stages:
        left -= lost[stage]
        steps.append(PipelineStep(shown_stage(stage), left, lost[stage]))
    scored = sum(row.state == "scored" for row in children)
    steps.append(PipelineStep("trained and scored", scored, left - scored))
    better = sum(row.better or row.front for row in children)
    steps.append(PipelineStep("improved", better, scored - better))
    front = sum(row.front for row in children)
    best = "on the Pareto front" if len(run.directions) > 1 else "on the front"
    steps.append(PipelineStep(best, front, better - front))
    return steps


def reasons(run: RunData, most: int = 15) -> list[Reason]:
    """The reasons that were given most often for a rejection or a failure."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in run.children:
        if row.state in ("rejected", "failed"):
            key = (row.stage, row.reason)
            counts[key] += 1
    example = _examples(run.rows)
    return [Reason(*key, count, example.get(key, "")) for key, count in counts.most_common(most)]


def _examples(rows: Iterable[Row]) -> dict[tuple[str, str], str]:
    """The first individual of each stage and reason."""
    found: dict[tuple[str, str], str] = {}
    for row in rows:
        found.setdefault((row.stage, row.reason), row.id)
    return found


def success(run: RunData, group: Group) -> list[Tally]:
    """Children by fate for each operator, mutation type, persona or block, most children first.

    A child that two operators made counts for both of them, one that `screen` left untrained for none.
    """
    named: dict[str, list[int]] = {}
    for row in run.children:
        fate = _fate(row)
        if fate is None:
            continue
        factors = (factor for step in row.steps for factor in factors_of(step))
        for name in dict.fromkeys(name or "none" for dimension, name in factors if dimension == group):
            named.setdefault(name, [0] * len(FATES))[fate] += 1
    tallies = [Tally(name, tuple(fates)) for name, fates in named.items()]
    return sorted(tallies, key=lambda tally: (-tally.total, tally.name))


def progress(run: RunData) -> Progress:
    """How the hypervolume grew. Equal scores count as evaluations of their own."""
    scored = [row for row in run.counted if row.state == "scored"]
    points = [losses(row.objectives, run.directions) for row in scored]
    return Progress(tuple(volumes(points)), tuple(_starts(scored)))


def best_values(run: RunData) -> Mapping[str, Row]:
    """For each objective the scored individual with its best value; of equals the first."""
    scored = [row for row in run.counted if row.state == "scored"]
    if not scored:
        return {}
    return {
        name: min(scored, key=lambda row: losses(row.objectives, {name: direction}))
        for name, direction in run.directions.items()
    }


def ancestors(rows: Mapping[str, Row], start: Iterable[str]) -> list[str]:
    """The ids of `start` and of all their ancestors, in depth-first order along first parents,
    so that a child stands close below what it was made from."""
    wanted: set[str] = set()
    waiting = [name for name in start if name in rows]
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting.extend(rows[name].parents)
    return [name for name in depth_first(rows) if name in wanted]


def depth_first(rows: Mapping[str, Row]) -> list[str]:
    """All ids, each after its first parent and before that parent's later children."""
    children: dict[str, list[str]] = {}
    roots: list[str] = []
    for row in rows.values():
        if row.parents:
            children.setdefault(row.parents[0], []).append(row.id)
        else:
            roots.append(row.id)
    order: list[str] = []
    waiting = list(reversed(roots))
    while waiting:
        name = waiting.pop()
        order.append(name)
        waiting.extend(reversed(children.get(name, [])))
    return order


def _starts(scored: Sequence[Row]) -> Iterable[tuple[int, int]]:
    last = -1
    for evaluation, row in enumerate(scored, 1):
        if row.generation > last and row.id != SEED_ID:
            last = row.generation
            yield evaluation, last


def _fate(row: Row) -> int | None:
    """The place of a child's fate in `FATES`; None of one that has none yet, or that `screen` left untrained,
    which says nothing of what made it."""
    match row.state:
        case "waiting":
            return None
        case "rejected":
            return 4 if row.stage != SCREEN else None
        case "failed":
            return 3
        case "scored":
            return 0 if row.front else 1 if row.better else 2

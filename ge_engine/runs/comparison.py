"""Runs side by side: one front of all, and hypervolumes within one box."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ge_engine.config import flat_settings
from ge_engine.errors import ConfigError
from ge_engine.ledger.history import History
from ge_engine.notation import Notations
from ge_engine.pareto import Direction, Point, box, losses, non_dominated, normalised
from ge_engine.population import Individual
from ge_engine.runs.run import Run
from ge_engine.runs.run_folder import Summary
from ge_engine.tolerances import Tolerances

SCORED_BY = ("task", "evaluator", "evaluator_argument")
"""Settings that decide what a figure means."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One run of several. `hypervolume`: 0 to 1, of the box around all that any of them scored, up to a tenth
    of its span beyond the worst (`ge_engine.pareto.box`)."""

    folder: Path
    seed: Individual
    tolerances: Tolerances
    best: Individual | None
    children: int
    scored: int
    hypervolume: float
    tokens: tuple[int, int]
    verdict: str
    stopped_because: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs in the order in which they were named. `front` is that of all of them, each individual with its
    run's folder; `differences` are the settings in which they differ, with the value of each run."""

    runs: tuple[Entry, ...]
    front: tuple[tuple[Path, Individual], ...]
    directions: Mapping[str, Direction]
    notations: Notations
    differences: Mapping[str, tuple[Any, ...]]

    @property
    def warning(self) -> str:
        """Why figures of these runs do not compare; "" where nothing is known against it."""
        apart = [name for name in SCORED_BY if name in self.differences]
        if not apart:
            return ""
        return (
            f"These runs are not scored alike (other {' and '.join(apart)}): their figures, and so the front "
            "of all and the hypervolumes, do not compare."
        )


def compared(folders: Sequence[Path]) -> Comparison:
    """Raises as `ge_engine.api.compare`."""
    if len(folders) < 2:
        raise ConfigError("There is nothing to compare with.", "Name two runs or more.")
    runs = [Run(folder) for folder in folders]
    directions = _same_directions(runs)
    points = [_points(run, directions) for run in runs]
    ideal, reference = box([point for several in points for point in several])
    found = [run.summary for run in runs]
    entries = [
        _entry(run, one, len(several), normalised(several, ideal, reference))
        for run, one, several in zip(runs, found, points, strict=True)
    ]
    fronts = [(run.folder, one) for run, summary in zip(runs, found, strict=True) for one in summary.front]
    kept = non_dominated([losses(one.objectives, directions) for _, one in fronts])
    return Comparison(
        tuple(entries), tuple(fronts[at] for at in kept), directions, runs[0].notations, _differences(runs)
    )


def _same_directions(runs: Sequence[Run]) -> Mapping[str, Direction]:
    first, *others = runs
    for one in others:
        if one.directions != first.directions:
            raise ConfigError(
                f"The run {first.folder} has the objectives {_told(first)}, {one.folder} has {_told(one)}.",
                "Compare runs of the same objectives.",
            )
    return first.directions


def _told(run: Run) -> str:
    return ", ".join(f"{name}:{way}" for name, way in run.directions.items())


def _points(run: Run, directions: Mapping[str, Direction]) -> list[Point]:
    with History(run.folder) as history:
        points = [losses(objectives, directions) for _, _, objectives in history.scored_points()]
    if not points:
        raise ConfigError(
            f"The run {run.folder} has no score yet.",
            f"Go on with it: {shlex.join(['ge', 'resume', str(run.folder)])}",
        )
    return points


def _entry(run: Run, summary: Summary, points: int, volume: float) -> Entry:
    """`points` are those of the children that were scored, and of the seed model."""
    return Entry(
        folder=run.folder,
        seed=run.seed,
        tolerances=run.tolerances,
        best=summary.best,
        children=run.size - 1,
        scored=points - 1,
        hypervolume=volume,
        tokens=run.tokens,
        verdict=summary.verdict.sentence,
        stopped_because=run.stopped_because,
    )


def _differences(runs: Sequence[Run]) -> dict[str, tuple[Any, ...]]:
    flat = [flat_settings(run.config) for run in runs]
    return {
        name: tuple(one[name] for one in flat)
        for name in flat[0]
        if any(one[name] != flat[0][name] for one in flat)
    }

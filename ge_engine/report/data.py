"""A run database -> plain data of a run: no HTML, no drawing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ge_engine.curves import MOST_NAMES
from ge_engine.ledger.best import front_ids
from ge_engine.ledger.history import History
from ge_engine.ledger.parts import parts_of
from ge_engine.ledger.replicates import spreads
from ge_engine.ledger.verdict import verdict_of
from ge_engine.noise import beyond_noise
from ge_engine.notation import Notations
from ge_engine.outcome import Scored
from ge_engine.pareto import Direction
from ge_engine.places import shown
from ge_engine.population import SEED_ID
from ge_engine.report.rows import Row, rows_of, with_details
from ge_engine.report.shown import shown_of
from ge_engine.report.texts import SourceTable
from ge_engine.source.addresses import address_in
from ge_engine.tolerances import Tolerances


@dataclass(frozen=True, slots=True)
class RunData:
    """Everything that a report shows. `rows` begin with the seed model, in the order of generation and
    number; of a large run they are some of `everybody`, with whatever they descend from. Of others
    `everybody` is empty.

    `seed_segments` are the seed model's (name, code); `checks` are the names of the checks in their order.
    """

    name: str
    seed_name: str
    directions: Mapping[str, Direction]
    notations: Notations
    rows: tuple[Row, ...]
    checks: tuple[str, ...]
    sources: SourceTable
    seed_segments: tuple[tuple[str, int], ...]
    settings: Mapping[str, Any]
    generations: int
    tokens: tuple[int, int]
    stopped_because: str
    verdict: str
    figure_notations: Notations = field(default_factory=dict)
    everybody: tuple[Row, ...] = ()

    @property
    def counted(self) -> tuple[Row, ...]:
        """Everybody; of those that are not among `rows` the details are left out."""
        return self.everybody or self.rows

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of what was measured besides the objectives, at most `MOST_NAMES`."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.figures))[:MOST_NAMES]

    @property
    def children(self) -> tuple[Row, ...]:
        return tuple(row for row in self.counted if row.id != SEED_ID)

    @property
    def front(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.front)


def read_run(history: History, checks: Iterable[str]) -> RunData:
    """Read a run, also one that another process is writing.

    `checks` are the names of the checks in their order.

    Raises:
        LedgerError: the run database cannot be read.
        ConfigError, SeedError: it holds settings or genomes that this version does not understand.
    """
    directions = history.directions
    sources = SourceTable()
    segments = tuple(
        (address_in(file, s.name) if s.name else file, sources.code(s.code))
        for file, seed in history.seed.files.items()
        for s in seed.cut.segments
    )
    generations = history.generations()
    everybody = rows_of(history, frozenset(front_ids(history)))
    shown = shown_of(everybody, history.test_outcomes(), directions)
    rows = tuple(_detailed(history, shown, sources))
    return RunData(
        name=history.folder.resolve().name,
        seed_name=Path(history.seed.path).name if history.seed.path else "seed",
        directions=directions,
        notations=history.notations,
        rows=rows,
        checks=tuple(checks),
        sources=sources,
        seed_segments=segments,
        settings={**_settings(history), **_told_of(len(shown), len(everybody))},
        generations=sum(record.finished for record in generations),
        tokens=history.tokens(),
        stopped_because=history.stopped_because,
        verdict=verdict_of(history, [row.id for row in rows if row.front]).sentence,
        figure_notations=history.figure_notations,
        everybody=tuple(everybody) if len(shown) < len(everybody) else (),
    )


def _told_of(shown: int, everybody: int) -> Mapping[str, str]:
    """What stands beside the settings where a page does not show everybody."""
    if shown == everybody:
        return {}
    return {"shown one by one": f"{shown:,} of {everybody:,} individuals (all are counted)"}


def _settings(history: History) -> Mapping[str, Any]:
    config = history.config
    islands = {"islands": config.islands} if config.islands > 1 else {}
    screen = {"children for each that is trained": config.screen} if config.screen > 1 else {}
    made = (
        {"made with": "; then ".join(str(one.making) for one in parts_of(history))}
        if parts_of(history)
        else {}
    )
    scored = config.evaluator_argument
    return {
        **({"scored by": scored} if scored else {"task": config.task, "evaluator": config.evaluator}),
        "language model": ", ".join(map(shown, config.models)),
        "population": config.population,
        "elites": config.elites,
        "epochs": config.recipe.epochs,
        "random seed": config.random_seed,
        **islands,
        **screen,
        **made,
    }


def _detailed(history: History, rows: list[Row], sources: SourceTable) -> Iterator[Row]:
    """The rows with all that there is to tell of each."""
    directions, tolerances, notations = history.directions, history.tolerances, history.notations
    known = {row.id: row for row in rows}
    tests = history.test_outcomes()
    again = {identity: found.told(notations) for identity, found in spreads(history).items()}
    for row in rows:
        one, tested = history.individual(row.id), tests.get(row.id)
        assert one is not None
        parent = known[row.parents[0]] if row.parents else None
        yield replace(
            with_details(row, one, history.calls(row.id), sources),
            test=tested.objectives if isinstance(tested, Scored) else {},
            test_errors=tested.errors if isinstance(tested, Scored) else {},
            to_seed=_signs(row, known.get(SEED_ID), directions, tolerances),
            to_parent=_signs(row, parent, directions, tolerances),
            further=again.get(row.id, ""),
        )


def _signs(
    row: Row, other: Row | None, directions: Mapping[str, Direction], tolerances: Tolerances
) -> Mapping[str, int]:
    if other is None or row.state != "scored" or other.state != "scored":
        return {}
    return beyond_noise(row, other, directions, tolerances=tolerances)

"""A run database -> plain data of a run: no HTML, no drawing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ge_engine.curves import MOST_NAMES, Curve, read_curve
from ge_engine.ledger.history import History
from ge_engine.ledger.parts import parts_of
from ge_engine.ledger.records import Call
from ge_engine.ledger.replicates import spreads
from ge_engine.ledger.verdict import verdict_of
from ge_engine.noise import beyond_noise, front_of, improves
from ge_engine.notation import Notations
from ge_engine.outcome import Failed, Fate, Outcome, Rejected, Scored, fate_of
from ge_engine.pareto import Direction
from ge_engine.places import shown
from ge_engine.population import SEED_ID, Child, Step, with_genome
from ge_engine.report.texts import SourceTable
from ge_engine.source.addresses import address_in
from ge_engine.tolerances import Tolerances


@dataclass(frozen=True, slots=True)
class GenomeDelta:
    """A genome as what differs from the seed model: codes are ids of the run's `SourceTable`.

    `replaced` are (segment, code), `helpers` (segment before which it stands, name, code).
    """

    replaced: tuple[tuple[int, int], ...]
    helpers: tuple[tuple[int, str, int], ...]
    imports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt and its reply; `system`, `user` and `reply` are ids of the run's `SourceTable`."""

    system: int
    user: int
    reply: int
    intent: str
    address: str
    model: str
    finish: str
    error: str
    temperature: float
    prompt_tokens: int
    completion_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """An individual. `better`: than its parents, beyond noise; `curve`: one mapping per epoch; `test`: its
    objectives on the test split, empty when it was no finalist; `further`: what trainings with further random
    random seeds gave, in words; `island`: where it was generated, None in a run of one population. `errors`
    and `test_errors` are standard errors; `to_seed` and `to_parent` say, by objective, whether it is better
    (1) or worse (-1) than the seed model and its first parent beyond noise. `figures` were measured besides
    the objectives, `feedback` is what the evaluator said of it."""

    id: str
    generation: int
    parents: tuple[str, ...]
    steps: tuple[Step, ...]
    state: Fate
    stage: str
    reason: str
    objectives: Mapping[str, float]
    errors: Mapping[str, float]
    test: Mapping[str, float]
    test_errors: Mapping[str, float]
    to_seed: Mapping[str, int]
    to_parent: Mapping[str, int]
    curve: Curve
    better: bool
    front: bool
    parts: GenomeDelta | None
    exchanges: tuple[Exchange, ...]
    further: str = ""
    island: int | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    feedback: str = ""


@dataclass(frozen=True, slots=True)
class RunData:
    """Everything that a report shows. `rows` begin with the seed model, in the order of generation and
    number.

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

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of what was measured besides the objectives, at most `MOST_NAMES`."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.figures))[:MOST_NAMES]

    @property
    def children(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.id != SEED_ID)

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
    rows = tuple(_rows(history, list(history.individuals()), directions, sources))
    return RunData(
        name=history.folder.resolve().name,
        seed_name=Path(history.seed.path).name if history.seed.path else "seed",
        directions=directions,
        notations=history.notations,
        rows=rows,
        checks=tuple(checks),
        sources=sources,
        seed_segments=segments,
        settings=_settings(history),
        generations=sum(record.finished for record in generations),
        tokens=history.tokens(),
        stopped_because=history.stopped_because,
        verdict=verdict_of(history, [row.id for row in rows if row.front]).sentence,
        figure_notations=history.figure_notations,
    )


def _settings(history: History) -> Mapping[str, Any]:
    config = history.config
    islands = {"islands": config.islands} if config.islands > 1 else {}
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
        **made,
    }


def _rows(
    history: History, children: list[Child], directions: Mapping[str, Direction], sources: SourceTable
) -> Iterable[Row]:
    known = {one.id: one for one in children}
    best = {one.id for one in front_of(with_genome(children), directions, history.ties)}
    tests, tolerances = history.test_outcomes(), history.tolerances
    several = history.config.islands > 1
    notations = history.notations
    again = {identity: found.told(notations) for identity, found in spreads(history).items()}
    for one in children:
        parents = [known[name] for name in one.parents if name in known]
        tested = tests.get(one.id)
        stage, reason = _explained(one.outcome)
        yield Row(
            id=one.id,
            generation=one.generation,
            parents=tuple(parent.id for parent in parents),
            steps=one.steps,
            state=fate_of(one.outcome),
            stage=stage,
            reason=reason,
            objectives=one.objectives,
            errors=one.errors,
            test=tested.objectives if isinstance(tested, Scored) else {},
            test_errors=tested.errors if isinstance(tested, Scored) else {},
            to_seed=_signs(one, known.get(SEED_ID), directions, tolerances),
            to_parent=_signs(one, next(iter(parents), None), directions, tolerances),
            curve=read_curve(one.outcome.details) if isinstance(one.outcome, Scored) else (),
            better=_better(one, parents, directions, tolerances),
            front=one.id in best,
            parts=_parts(one, sources),
            exchanges=tuple(_exchange(call, sources) for call in history.calls(one.id)),
            further=again.get(one.id, ""),
            island=one.island if several and one.id != SEED_ID else None,
            figures=one.outcome.figures if isinstance(one.outcome, Scored) else {},
            feedback=one.outcome.feedback if isinstance(one.outcome, Scored) else "",
        )


def _explained(outcome: Outcome | None) -> tuple[str, str]:
    match outcome:
        case Rejected(stage=stage, reason=reason):
            return stage, reason
        case Failed(stage=stage, kind=kind, reason=reason):
            return stage, f"{kind}: {reason}"
        case _:
            return "", ""


def _signs(
    one: Child, other: Child | None, directions: Mapping[str, Direction], tolerances: Tolerances
) -> Mapping[str, int]:
    if not (other and one.scored and other.scored):
        return {}
    return beyond_noise(one, other, directions, tolerances=tolerances)


def _better(
    one: Child, parents: Iterable[Child], directions: Mapping[str, Direction], tolerances: Tolerances
) -> bool:
    known = [parent for parent in parents if parent.scored]
    return one.scored and improves(one, known, directions, tolerances)


def _parts(one: Child, sources: SourceTable) -> GenomeDelta | None:
    if one.genome is None:
        return None
    replaced, helpers, imports, before = [], [], list[str](), 0
    for file, genome in one.genome.files.items():
        replaced += [(before + at, sources.code(s.text)) for at, s in sorted(genome.replaced.items())]
        helpers += [
            (before + at, address_in(file, s.name), sources.code(s.text))
            for at, group in sorted(genome.helpers.items())
            for s in group
        ]
        imports += [f"{file}: {line}" if file else line for line in genome.imports]
        before += len(genome.seed.cut.segments)
    return GenomeDelta(tuple(replaced), tuple(helpers), tuple(imports))


def _exchange(call: Call, sources: SourceTable) -> Exchange:
    prompt, reply = call.prompt, call.reply
    return Exchange(
        system=sources.text(prompt.system),
        user=sources.text(prompt.user),
        reply=sources.text(reply.text),
        intent=prompt.intent,
        address=prompt.address,
        model=reply.model,
        finish=reply.finish,
        error=reply.error,
        temperature=call.sampling.temperature,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        seconds=reply.seconds,
    )

"""An individual as a report shows it, and its texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ge_engine.curves import Curve, read_curve
from ge_engine.ledger.history import History
from ge_engine.ledger.listing import Listed, listed
from ge_engine.ledger.records import Call
from ge_engine.noise import improves
from ge_engine.outcome import Failed, Fate, Outcome, Rejected, Scored, fate_of
from ge_engine.pareto import Direction
from ge_engine.population import SEED_ID, Child, Step
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
    objectives on the test split, empty when it was no finalist; `further`: what trainings with further
    random seeds gave, in words; `island`: where it was generated, None in a run of one population. `errors`
    and `test_errors` are standard errors; `to_seed` and `to_parent` say, by objective, whether it is better
    (1) or worse (-1) than the seed model and its first parent beyond noise. `figures` were measured besides
    the objectives, `feedback` is what the evaluator said of it. Whatever has a default is one of its
    details."""

    id: str
    generation: int
    parents: tuple[str, ...]
    steps: tuple[Step, ...]
    state: Fate
    stage: str
    reason: str
    objectives: Mapping[str, float]
    errors: Mapping[str, float]
    better: bool
    front: bool
    test: Mapping[str, float] = field(default_factory=dict)
    test_errors: Mapping[str, float] = field(default_factory=dict)
    to_seed: Mapping[str, int] = field(default_factory=dict)
    to_parent: Mapping[str, int] = field(default_factory=dict)
    curve: Curve = ()
    parts: GenomeDelta | None = None
    exchanges: tuple[Exchange, ...] = ()
    further: str = ""
    island: int | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    feedback: str = ""


def rows_of(history: History, front: frozenset[str]) -> list[Row]:
    """All individuals, the seed model first, without their details; `front` are the ids of the front."""
    directions, tolerances = history.directions, history.tolerances
    several = history.config.islands > 1
    known: dict[str, Row] = {}
    for one in listed(history):
        parents = [known[name] for name in one.parents if name in known]
        known[one.id] = _row(one, parents, one.id in front, directions, tolerances)
        if several and one.id != SEED_ID:
            known[one.id] = replace(known[one.id], island=one.island)
    return list(known.values())


def _row(
    one: Listed,
    parents: list[Row],
    front: bool,
    directions: Mapping[str, Direction],
    tolerances: Tolerances,
) -> Row:
    stage, reason = _explained(one.outcome)
    row = Row(
        id=one.id,
        generation=one.generation,
        parents=tuple(parent.id for parent in parents),
        steps=one.steps,
        state=fate_of(one.outcome),
        stage=stage,
        reason=reason,
        objectives=one.outcome.objectives if isinstance(one.outcome, Scored) else {},
        errors=one.outcome.errors if isinstance(one.outcome, Scored) else {},
        better=False,
        front=front,
    )
    scored = [parent for parent in parents if parent.state == "scored"]
    better = row.state == "scored" and improves(row, scored, directions, tolerances)
    return replace(row, better=True) if better else row


def _explained(outcome: Outcome | None) -> tuple[str, str]:
    match outcome:
        case Rejected(stage=stage, reason=reason):
            return stage, reason
        case Failed(stage=stage, kind=kind, reason=reason):
            return stage, f"{kind}: {reason}"
        case _:
            return "", ""


def with_details(row: Row, one: Child, calls: Iterable[Call], sources: SourceTable) -> Row:
    """`row` with the code of its individual, its prompts and replies, and what its training told."""
    scored = one.outcome if isinstance(one.outcome, Scored) else None
    return replace(
        row,
        curve=read_curve(scored.details) if scored else (),
        parts=_parts(one, sources),
        exchanges=tuple(_exchange(call, sources) for call in calls),
        figures=scored.figures if scored else {},
        feedback=scored.feedback if scored else "",
    )


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

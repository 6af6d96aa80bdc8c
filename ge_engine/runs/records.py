"""Individuals of a run as plain data, for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ge_engine.ledger.history import History
from ge_engine.ledger.parts import part_of
from ge_engine.ledger.replicates import as_data, spreads
from ge_engine.outcome import Failed, Rejected, Scored
from ge_engine.population import Child, Individual


def records(
    history: History, children: Sequence[Child], front: Sequence[Individual]
) -> Iterator[dict[str, Any]]:
    """A record of each child, with what it was made with and what further random seeds gave."""
    again = spreads(history)
    for one in children:
        part = part_of(history, one.id)
        made = {"made_with": dict(part.making.versions)} if part else {}
        rescored = {"rescored": as_data(again[one.id])} if one.id in again else {}
        yield {**as_record(one, front), **made, **rescored}


def as_record(one: Child, front: Sequence[Individual]) -> dict[str, Any]:
    """An individual as plain data."""
    outcome = one.outcome
    record: dict[str, Any] = {
        "id": one.id,
        "generation": one.generation,
        "island": one.island,
        "parents": list(one.parents),
        "steps": [
            {"operator": s.operator, "intent": s.intent, "persona": s.persona, "address": s.address}
            for s in one.steps
        ],
        "digest": one.genome.digest if one.genome else None,
        "outcome": type(outcome).__name__.lower() if outcome else None,
        "front": any(one.id == other.id for other in front),
    }
    match outcome:
        case Scored(objectives=objectives, errors=errors, figures=figures, feedback=feedback):
            record["objectives"] = dict(objectives)
            record |= {"errors": dict(errors)} if errors else {}
            record |= {"figures": dict(figures)} if figures else {}
            record |= {"feedback": feedback} if feedback else {}
        case Rejected(stage=stage, reason=reason) | Failed(stage=stage, reason=reason):
            record |= {"stage": stage, "reason": reason}
    return record

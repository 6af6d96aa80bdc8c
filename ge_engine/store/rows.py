"""What a run works with <-> rows of the ledger's tables, by the names of their columns."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from sqlite3 import Row

from ge_engine.contracts import Prompt, Reply, Sampling
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Outcome, Rejected, Scored
from ge_engine.population import Individual
from ge_engine.store.checked import checked, reading
from ge_engine.store.records import (
    Call,
    from_json,
    outcome_from_json,
    require_objectives,
    steps_from_json,
    steps_to_json,
    to_json,
)
from ge_engine.versions import Making

CALL = ("key", "individual", "generation", "digest", "grammar", "canonical")
PROMPT = ("system", "user", "address", "intent")
SAMPLING, REPLY = (tuple(one.name for one in fields(part)) for part in (Sampling, Reply))
"""Columns of `calls` that are called as the fields that they hold."""
Columns = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Settled:
    """An individual whose fate before training is decided: `rejected`, or None when admitted."""

    individual: Individual
    fingerprint: str
    rejected: Rejected | None


def settled_to_row(settled: Settled) -> dict[str, object]:
    """The row of table `individuals`, but for the part that bred it."""
    one, rejected = settled.individual, settled.rejected
    return {
        "id": one.id,
        "generation": one.generation,
        "slot": one.slot,
        "parents": to_json(list(one.parents)),
        "steps": steps_to_json(one.steps),
        "digest": one.genome and one.genome.digest,
        "fingerprint": settled.fingerprint,
        "delta": one.genome and to_json(one.genome.delta()),
        "stage": rejected and rejected.stage,
        "reason": rejected and rejected.reason,
        "at": time.time(),
        "island": one.island,
    }


def seed_to_row(seed: Seed) -> Columns:
    """The one row of table `seed`."""
    return {"source": seed.source, "path": str(seed.path or "")}


def making_to_row(making: Making) -> dict[str, object]:
    """The row of table `parts`, but for its number and time."""
    return {
        "versions": to_json(dict(making.versions)),
        "others": to_json(dict(making.others)),
        "checks": to_json(list(making.checks)),
    }


def call_to_row(call: Call) -> dict[str, object]:
    """The row of table `calls`, by column; `at` is now."""
    held = ((call, CALL), (call.prompt, PROMPT), (call.sampling, SAMPLING), (call.reply, REPLY))
    row = {name: getattr(part, name) for part, names in held for name in names}
    return row | {"grammar_asked": call.prompt.grammar, "at": time.time()}


def call_from_row(row: Row) -> Call:
    """Raises LedgerError where it is damaged."""
    with reading("call"):
        call = Call(
            **{name: row[name] for name in CALL},
            prompt=Prompt(**{name: row[name] for name in PROMPT}, grammar=row["grammar_asked"]),
            sampling=Sampling(**{name: row[name] for name in SAMPLING}),
            reply=Reply(**{name: row[name] for name in REPLY}),
            at=row["at"],
        )
    return checked(call, f"call {call.key!r}")


def individual_from_row(row: Row, seed: Seed, objectives: tuple[str, ...]) -> Individual:
    """An individual of a run of `seed`, with its outcome.

    Raises:
        LedgerError: it is damaged, or a score lacks one of the run's objectives.
    """
    what = f"individual {row['id']!r}"
    with reading(what):
        outcome: Outcome | None = None
        if row["outcome"] is not None:
            outcome = outcome_from_json(row["outcome"])
        elif row["stage"] is not None:
            outcome = Rejected(row["stage"], row["reason"])
        one = Individual(
            id=row["id"],
            generation=row["generation"],
            slot=row["slot"],
            parents=tuple(from_json(row["parents"])),
            steps=steps_from_json(row["steps"]),
            genome=None if row["delta"] is None else Genome.from_delta(seed, from_json(row["delta"])),
            outcome=outcome,
            island=row["island"],
        )
    if isinstance(outcome, Scored):
        require_objectives(one.id, outcome, objectives)
    return checked(one, what)

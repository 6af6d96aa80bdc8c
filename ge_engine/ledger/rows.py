"""What a run works with <-> rows of the run database's tables, by the names of their columns."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from sqlite3 import Row
from typing import Any

from ge_engine.contracts import Prompt, Reply, Sampling
from ge_engine.genome import Genome, Seed
from ge_engine.ledger.checked import checked, reading
from ge_engine.ledger.records import (
    Call,
    from_json,
    outcome_from_json,
    require_objectives,
    steps_from_json,
    steps_to_json,
    to_json,
)
from ge_engine.ledger.versions import Making
from ge_engine.outcome import Outcome, Rejected, Scored
from ge_engine.population import SEED_ID, Child, ChildWithoutGenome, Individual

CALL = ("key", "individual", "generation", "digest", "grammar", "canonical")
PROMPT = ("system", "user", "address", "intent")
SAMPLING, REPLY = (tuple(one.name for one in fields(part)) for part in (Sampling, Reply))
"""Columns of `calls` that are called as the fields that they hold."""
Columns = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ChildRecord:
    """A child after the checks: why it was `rejected`, or None when it passed."""

    individual: Child
    fingerprint: str
    rejected: Rejected | None


def child_to_row(child: ChildRecord) -> dict[str, object]:
    """The row of table `individuals`, but for the part that generated it."""
    one, rejected = child.individual, child.rejected
    return {
        "id": one.id,
        "generation": one.generation,
        "slot": one.slot,
        "parents": to_json(list(one.parents)),
        "steps": steps_to_json(one.steps),
        "digest": None if one.genome is None else one.genome.digest,
        "fingerprint": child.fingerprint,
        "delta": None if one.genome is None else to_json(one.genome.delta()),
        "stage": None if rejected is None else rejected.stage,
        "reason": None if rejected is None else rejected.reason,
        "at": time.time(),
        "island": one.island,
    }


def seed_to_row(seed: Seed) -> Columns:
    """The one row of table `seed`: the file that builds the model."""
    return {"source": seed.source, "path": str(seed.path or "")}


def files_to_rows(seed: Seed) -> list[Columns]:
    """The rows of table `files`: all of them, where there are several."""
    if len(seed.files) == 1:
        return []
    return [
        {"rank": at, "name": name, **seed_to_row(one)} for at, (name, one) in enumerate(seed.files.items())
    ]


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


def child_from_row(row: Row, seed: Seed, objectives: tuple[str, ...]) -> Child:
    """A child in a run of `seed`, with its outcome.

    Raises:
        LedgerError: it is damaged, or a score lacks one of the run's objectives.
    """
    what = f"individual {row['id']!r}"
    with reading(what):
        made = {name: row[name] for name in ("id", "generation", "slot", "island")}
        made |= {"parents": tuple(from_json(row["parents"])), "steps": steps_from_json(row["steps"])}
        outcome: Any = outcome_from_row(row, objectives)
        if row["delta"] is None and row["id"] != SEED_ID:
            return checked(ChildWithoutGenome(**made, outcome=outcome), what)
        one = Individual(**made, genome=Genome.from_delta(seed, from_json(row["delta"])), outcome=outcome)
    return checked(one, what)


def outcome_from_row(row: Row, objectives: tuple[str, ...]) -> Outcome | None:
    """What became of a child: its score or failure, its rejection, or None while neither is known.

    Raises:
        LedgerError: it is damaged, or a score lacks one of the run's objectives.
    """
    if row["outcome"] is None:
        return None if row["stage"] is None else Rejected(row["stage"], row["reason"])
    outcome = outcome_from_json(row["outcome"])
    if isinstance(outcome, Scored):
        require_objectives(row["id"], outcome, objectives)
    return outcome

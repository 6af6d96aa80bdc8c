"""The children of a run as a list has them: read one after the other, without their genomes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ge_engine.ledger.checked import checked, reading
from ge_engine.ledger.history import OF_KEY, History
from ge_engine.ledger.records import from_json, steps_from_json
from ge_engine.ledger.rows import outcome_from_row
from ge_engine.ledger.score_key import VALIDATION
from ge_engine.outcome import Outcome
from ge_engine.population import Step

_LISTED = f"""
SELECT i.id, i.generation, i.island, i.parents, i.steps, i.stage, i.reason, s.outcome
FROM individuals i LEFT JOIN scores s ON s.digest = i.digest AND {OF_KEY} AND i.stage IS NULL
ORDER BY i.generation, i.slot
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """An individual, or a child without a genome: how it was made and what became of it."""

    id: str
    generation: int
    island: int
    parents: tuple[str, ...]
    steps: tuple[Step, ...]
    outcome: Outcome | None


def listed(history: History) -> Iterator[Listed]:
    """All, seed model first, in the order of generation and number. Raises LedgerError."""
    objectives = history.config.objective_names
    for row in history.stream(
        _LISTED, split=VALIDATION.split, seed=VALIDATION.seed, epochs=VALIDATION.epochs
    ):
        what = f"individual {row['id']!r}"
        with reading(what):
            made = {name: row[name] for name in ("id", "generation", "island")}
            made |= {"parents": tuple(from_json(row["parents"])), "steps": steps_from_json(row["steps"])}
            one = Listed(**made, outcome=outcome_from_row(row, objectives))
        yield checked(one, what)

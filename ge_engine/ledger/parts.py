"""The parts of a run: stretches of sessions that the same versions and checks made."""

from __future__ import annotations

from dataclasses import dataclass

from ge_engine.ledger.history import History
from ge_engine.ledger.records import from_json
from ge_engine.ledger.versions import ENGINE, Making, differences

OF_0_1_0 = {ENGINE: "0.1.0"}
"""All that is known of what made a run database of schema 1 or 2."""
FIRST_WITH_PARTS = 3
"""The schema from which on what made a run is kept."""


@dataclass(frozen=True, slots=True)
class Part:
    """`number` counts from 1, or from 0 in a run that version 0.1.0 began. `at` is Unix time, seconds."""

    number: int
    making: Making
    at: float


def parts_of(history: History) -> list[Part]:
    """In order; empty until a session has begun."""
    if history.schema < FIRST_WITH_PARTS:
        return [Part(0, Making(OF_0_1_0, tuple(sorted(history.config.checks)), {}), 0.0)]
    sql = "SELECT number, versions, others, checks, at FROM parts ORDER BY number"
    return [
        Part(number, Making(from_json(versions), tuple(from_json(checks)), from_json(others)), at)
        for number, versions, others, checks, at in history.query(sql)
    ]


def part_of(history: History, identity: str) -> Part | None:
    """The part in which an individual was generated; None where that was not kept."""
    return _numbered(history, history.query("SELECT part FROM individuals WHERE id = ?", identity))


def scored_in(history: History, identity: str) -> Part | None:
    """The part in which its score on the validation split was measured; None without one."""
    sql = (
        "SELECT s.part FROM individuals i JOIN scores s ON s.digest = i.digest"
        " WHERE s.split = 'validation' AND s.seed = 0 AND s.epochs = 0 AND i.id = ?"
    )
    return _numbered(history, history.query(sql, identity))


def first_of(history: History, part: Part) -> str:
    """The first individual that a part made; "" when it made none."""
    sql = "SELECT id FROM individuals WHERE part = ? ORDER BY generation, slot LIMIT 1"
    rows = history.query(sql, part.number)
    return str(rows[0][0]) if rows else ""


def changed(before: Part, after: Part) -> str:
    """What differs between two parts, in words: "torch 2.9.1 (was torch 2.8.0)"."""
    return ", ".join(f"{one.now} (was {one.was})" for one in differences(before.making, after.making))


def _numbered(history: History, rows: list[tuple[int]]) -> Part | None:
    return next((one for one in parts_of(history) for (number,) in rows if one.number == number), None)

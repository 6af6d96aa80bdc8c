"""Children made by hand, which wait in the run database for their place in a generation.

They are left by whoever has them and given places by the one writer of the run, when it begins a generation.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ge_engine.errors import LedgerError
from ge_engine.genome import Genome
from ge_engine.ledger.checked import checked, reading
from ge_engine.ledger.database import FILE, connect_to_write, reporting, version_of
from ge_engine.ledger.history import History
from ge_engine.ledger.records import from_json, to_json
from ge_engine.ledger.schema import SCHEMA_VERSION
from ge_engine.population import individual_id

_WAITING = "SELECT number FROM hand_made WHERE generation IS NULL ORDER BY number"
_PLACE = """
UPDATE hand_made SET generation = :generation,
slot = (SELECT size FROM generations WHERE generation = :generation) WHERE number = :number"""
_GROW = "UPDATE generations SET size = size + 1 WHERE generation = :generation"
_LEAVE = "INSERT INTO hand_made (delta, note, at) VALUES (:delta, :note, :at)"
_HELD = "SELECT count(*) FROM hand_made h WHERE h.generation = g.generation"


@dataclass(frozen=True, slots=True)
class HandMade:
    """A genome that came with a `note`."""

    genome: Genome
    note: str = ""


def leave(folder: Path, children: Iterable[HandMade]) -> list[int]:
    """Let children wait for places in a run that another process works on; their numbers.

    Raises:
        LedgerError: the database cannot be written, or an older version of the engine works on it.
    """
    path = folder / FILE
    with reporting(path), closing(connect_to_write(path)) as db:
        if version_of(db) != SCHEMA_VERSION:
            raise LedgerError(
                f"Another version of ge-engine works on the run {folder}.", "Wait until it has ended."
            )
        db.execute("BEGIN IMMEDIATE")
        numbers = put_waiting(db, children)
        db.execute("COMMIT")
    return numbers


def put_waiting(db: sqlite3.Connection, children: Iterable[HandMade]) -> list[int]:
    """Within a transaction: rows of children without a place; their numbers."""
    rows = [{"delta": to_json(one.genome.delta()), "note": one.note, "at": time.time()} for one in children]
    return [int(db.execute(_LEAVE, row).lastrowid or 0) for row in rows]


def place_waiting(db: sqlite3.Connection, generation: int) -> None:
    """Within a transaction: give all that wait further places in a generation, in the order in which they
    came."""
    for (number,) in db.execute(_WAITING).fetchall():
        place = {"generation": generation, "number": number}
        db.execute(_PLACE, place)
        db.execute(_GROW, {"generation": generation})


def hand_made(history: History, generation: int | None) -> dict[int, HandMade]:
    """The children of a generation that were made by hand, by place; with None those that wait, by number."""
    sql = "SELECT coalesce(slot, number), delta, note FROM hand_made WHERE generation IS ? ORDER BY number"
    found = {}
    for place, delta, note in history.query(sql, generation):
        with reading("child that was made by hand"):
            one = HandMade(Genome.from_delta(history.seed, from_json(delta)), note)
        found[place] = checked(one, "child that was made by hand")
    return found


def left_by_hand(history: History, generation: int) -> bool:
    """Whether children that were made by hand wait, or fill a generation that was begun and not finished."""
    made = hand_made(history, generation)
    return bool(hand_made(history, None)) or 0 < len(made) == history.size(generation)


def place_of(history: History, number: int) -> str | None:
    """The id that the child `number` was given; None: it waits."""
    ((generation, slot),) = history.query("SELECT generation, slot FROM hand_made WHERE number = ?", number)
    return None if generation is None else individual_id(generation, slot)


def drawn_before(history: History, generation: int) -> int:
    """Children of the generations before this one without those that were made by hand."""
    sql = f"SELECT coalesce(sum(size - ({_HELD})), 0) FROM generations g WHERE generation < ?"
    return int(history.query(sql, generation)[0][0])


def generations_before(history: History, generation: int) -> int:
    """Generations before this one but those of children alone that were made by hand."""
    sql = f"SELECT count(*) FROM generations g WHERE generation < ? AND size > ({_HELD})"
    return int(history.query(sql, generation)[0][0])

"""The run's truth: every reply, rejection, score and survivor is appended here before it is acted on.

RUN/ledger.sqlite is SQLite in WAL mode. A commit survives the death of the process; the commits at
survivor points are synchronous and survive the loss of power.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from ge_engine.config import RunConfig, config_to_dict
from ge_engine.contracts import Probe
from ge_engine.errors import LedgerError
from ge_engine.genome import Seed
from ge_engine.ledger.database import FILE, RESTORE, connect_to_write, reporting, version_of
from ge_engine.ledger.hand_made import HandMade, place_waiting, put_waiting
from ge_engine.ledger.parts import FIRST_WITH_PARTS, parts_of
from ge_engine.ledger.records import Call, outcome_to_json, probe_to_json, to_json
from ge_engine.ledger.rows import (
    ChildRecord,
    Columns,
    call_to_row,
    child_to_row,
    files_to_rows,
    making_to_row,
    seed_to_row,
)
from ge_engine.ledger.runlock import RunLock
from ge_engine.ledger.schema import SCHEMA_VERSION, STATEMENTS, TABLES, upgrade
from ge_engine.ledger.score_key import ScoreKey
from ge_engine.ledger.transactions import Transactions, put_row
from ge_engine.ledger.versions import Making
from ge_engine.notation import BEFORE, PLAIN, Notations
from ge_engine.outcome import SCREEN, Outcome
from ge_engine.population import Direction, Migration

_FORGET_REJECTED = """
DELETE FROM probes
WHERE digest IN (SELECT digest FROM individuals WHERE generation = :generation AND stage IS NOT NULL)
AND NOT EXISTS (
  SELECT 1 FROM individuals
  WHERE individuals.digest = probes.digest AND (stage IS NULL OR stage = :kept))"""
"""All but those by whose figures a child was not chosen."""


class Ledger(Transactions):
    """The one writer of a run. Holds RUN/lock until `close`."""

    _part = 0
    _sums: tuple[int, int] | None = None

    def __init__(self, folder: Path) -> None:
        self._lock = RunLock(folder)
        try:
            super().__init__(folder)
            self._check_whole()
            self._upgrade()
        except BaseException:
            self._lock.release()
            raise

    @classmethod
    def create(cls, folder: Path, seed: Seed, config: RunConfig) -> Ledger:
        """Start a run in `folder` (made when missing): all or nothing.

        Raises:
            LedgerError: a run is there already or at work, the disk is full, no permission.
        """
        _make_folder(folder)
        lock = RunLock(folder)
        try:
            _write_schema(folder / FILE, seed, config)
        finally:
            lock.release()
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> Ledger:
        """Go on with a run. Raises LedgerError: none there, locked, damaged, newer schema."""
        if not folder.is_dir():
            raise LedgerError(f"There is no run in {folder}.", "`ge evolve FILE --run DIR` makes one.")
        return cls(folder)

    def _check_whole(self) -> None:
        verdict = self.query("PRAGMA quick_check(1)")[0][0]
        if verdict != "ok":
            raise LedgerError(f"The run database {self.path} is damaged ({verdict}).", RESTORE)

    def _upgrade(self) -> None:
        """A run database of an older schema becomes one of this version's, all or nothing."""
        if self.schema < SCHEMA_VERSION:
            unknown = [] if self.schema >= FIRST_WITH_PARTS else parts_of(self)
            with self._synchronous() as db:
                for statement in upgrade(self.schema):
                    db.execute(statement)
                for part in unknown:
                    put_row(db, "parts", _part_row(part.number, part.making, part.at))
            self.schema = SCHEMA_VERSION

    def close(self) -> None:
        super().close()
        self._lock.release()

    # --- the run --------------------------------------------------------------------------------

    def begin_anew(self, seed: Seed, config: RunConfig) -> None:
        """Forget a run whose seed model was refused: what it holds belongs to a file or settings that do not
        work.

        What was made by hand waits on where the seed model is the same.

        Raises:
            LedgerError: the run's seed model has a score.
        """
        if self.seed_is_scored:
            raise LedgerError(f"The run {self.folder} has begun.", "Choose another folder with --run.")
        self._sums = None
        kept = {"hand_made"} if seed.sources == self.seed.sources else set[str]()
        with self._synchronous() as db:
            for table in TABLES:
                if table not in kept:
                    db.execute(f"DELETE FROM {table}")
            _begin(db, seed, config)
        self.seed = seed

    def set_config(
        self, config: RunConfig, directions: Mapping[str, Direction], notations: Notations = BEFORE
    ) -> None:
        """What this session runs with; `notations` may also be those of figures that are no objectives."""
        written = {name: asdict(notations.get(name, PLAIN)) for name in (*directions, *notations)}
        with self._transaction() as db:
            put_row(db, "meta", {"key": "config", "value": to_json(config_to_dict(config))})
            put_row(db, "meta", {"key": "directions", "value": to_json(dict(directions))})
            put_row(db, "meta", {"key": "notations", "value": to_json(written)})

    def set_prompt_tokens(self, tokens: Sequence[int]) -> None:
        """The room of a prompt on each island in this session."""
        self._write("meta", {"key": "prompt_tokens", "value": to_json(list(tokens))})

    def set_chance(self, chance: Mapping[str, float]) -> None:
        """What guesses reach, by objective, as far as that is known."""
        self._write("meta", {"key": "chance", "value": to_json(dict(chance))})

    def begin_part(self, making: Making) -> None:
        """What is written after this was made with `making`; where nothing changed, the part goes on."""
        before = parts_of(self)
        if before and before[-1].making == making:
            self._part = before[-1].number
            return
        self._part = before[-1].number + 1 if before else 1
        with self._synchronous() as db:
            put_row(db, "parts", _part_row(self._part, making, time.time()))

    def set_stopped(self, reason: str) -> None:
        with self._synchronous() as db:
            put_row(db, "meta", {"key": "stopped_because", "value": reason})

    # --- children -------------------------------------------------------------------------------

    def tokens(self) -> tuple[int, int]:
        """As `History.tokens`, summed up once: a budget asks for each child, in runs of any length."""
        if self._sums is None:
            self._sums = super().tokens()
        return self._sums

    def add_call(self, call: Call) -> None:
        sums = None if self._sums is None else self._sums_with(call, *self._sums)
        self._write("calls", call_to_row(call))
        self._sums = sums

    def _sums_with(self, call: Call, read: int, written: int) -> tuple[int, int]:
        """The tokens of all calls once `call` is written, over one with the same key."""
        row = self._one("SELECT prompt_tokens, completion_tokens FROM calls WHERE key = :key", key=call.key)
        before, reply = tuple(row) if row else (0, 0), call.reply
        return read + reply.prompt_tokens - before[0], written + reply.completion_tokens - before[1]

    def add_probe(self, digest: str, probe: Probe) -> None:
        self._write("probes", {"digest": digest, "probe": probe_to_json(probe)})

    def add_score(self, digest: str, key: ScoreKey, outcome: Outcome, promoted: bool | None = None) -> None:
        """`promoted`: whether a training by rungs goes on after the rung of `key`, where that is decided.

        Raises ValueError when an objective is not finite: such an outcome is `Failed`.
        """
        row = {"digest": digest, "split": key.split, "seed": key.seed, "epochs": key.epochs}
        written = {"outcome": outcome_to_json(outcome), "promoted": promoted, "at": time.time()}
        self._write("scores", {**row, **written, "part": self._part})

    def record_children(self, children: Iterable[ChildRecord], void: Iterable[str] = ()) -> None:
        """Record which children passed the checks and which did not; scores of the digests in `void` belong
        to nobody. Who was recorded before stays in the part that generated it."""
        with self._transaction() as db:
            for one in children:
                sql = "SELECT part FROM individuals WHERE id = :id"
                bred = db.execute(sql, {"id": one.individual.id}).fetchone()
                put_row(db, "individuals", child_to_row(one) | {"part": bred[0] if bred else self._part})
            db.executemany("DELETE FROM scores WHERE digest = :digest", [{"digest": one} for one in void])

    # --- generations ----------------------------------------------------------------------------

    def start_generation(self, generation: int, size: int, by_hand: Iterable[HandMade] = ()) -> int:
        """Plan `size` children, and further ones for those that were made by hand: `by_hand` and all that
        wait. A generation that a killed session has planned stays as it is. Returns how many children it
        has."""
        if not self.begun(generation):
            row = {"generation": generation, "size": size, "finished": False, "at": time.time()}
            with self._transaction() as db:
                put_row(db, "generations", row)
                put_waiting(db, by_hand)
                place_waiting(db, generation)
        return self.size(generation)

    def leave(self, children: Iterable[HandMade]) -> list[int]:
        """Let children that were made by hand wait for places; their numbers."""
        with self._synchronous() as db:
            return put_waiting(db, children)

    def place_waiting(self, generation: int) -> int:
        """Give what waits further places in a generation that was begun; how many children that then has."""
        with self._transaction() as db:
            place_waiting(db, generation)
        return self.size(generation)

    def finish_generation(
        self,
        generation: int,
        populations: Sequence[Sequence[str]],
        front: Sequence[str],
        merged: Sequence[str],
        moves: Sequence[Migration] = (),
    ) -> None:
        """The survivor point: synchronous. `populations` are the survivors by island, once all of `moves`
        have arrived; `front` is the Pareto front of everything merged so far, `merged` are the children that
        entered, or failed to enter, a population at this point."""
        ranked: Mapping[str, list[Columns]] = {
            "survivors": [{"id": one, "island": n} for n, ids in enumerate(populations) for one in ids],
            "fronts": [{"id": one} for one in front],
            "merged": [{"id": one} for one in merged],
            "moves": [{"id": one.id, "source": one.source, "target": one.target} for one in moves],
        }
        finished = {"generation": generation}
        with self._synchronous() as db:
            for table, rows in ranked.items():
                db.execute(f"DELETE FROM {table} WHERE generation = :generation", finished)
                for rank, row in enumerate(rows):
                    put_row(db, table, {**finished, "rank": rank, **row})
            db.execute("UPDATE generations SET finished = 1 WHERE generation = :generation", finished)
            db.execute(_FORGET_REJECTED, {**finished, "kept": SCREEN})


def _begin(db: sqlite3.Connection, seed: Seed, config: RunConfig) -> None:
    put_row(db, "seed", seed_to_row(seed))
    for row in files_to_rows(seed):
        put_row(db, "files", row)
    put_row(db, "meta", {"key": "config", "value": to_json(config_to_dict(config))})


def _part_row(number: int, making: Making, at: float) -> Columns:
    return making_to_row(making) | {"number": number, "at": at}


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(
            f"The folder {folder} cannot be made: {error.strerror}.", "Choose another --run."
        ) from error


def _write_schema(path: Path, seed: Seed, config: RunConfig) -> None:
    with reporting(path), closing(connect_to_write(path)) as db:
        if version_of(db):
            raise LedgerError(
                f"There is a run in {path.parent} already.", "Rerun the same command to resume it."
            )
        db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN IMMEDIATE")
        for statement in STATEMENTS:
            db.execute(statement)
        _begin(db, seed, config)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute("COMMIT")

"""The run's truth: every reply, rejection, score and survivor is appended here before it is acted on.

RUN/ledger.sqlite is SQLite in WAL mode. A commit survives the death of the process; the commits at
survivor points are synchronous and survive the loss of power.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ge_engine.config import RunConfig, config_to_dict
from ge_engine.contracts import Probe
from ge_engine.errors import LedgerError
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Failed, Outcome, Rejected, Scored
from ge_engine.population import Direction, Individual, Move
from ge_engine.store.audit import check
from ge_engine.store.foreign import harden
from ge_engine.store.history import (
    FILE,
    MEND,
    GenerationRecord,
    History,
    connect_to_read,
    read_replies,
    reporting,
)
from ge_engine.store.parts import OF_0_1_0, parts_of
from ge_engine.store.records import Call, outcome_to_json, probe_to_json, steps_to_json, to_json
from ge_engine.store.runlock import RunLock
from ge_engine.store.schema import SCHEMA_VERSION, STATEMENTS, TABLES, upgrade
from ge_engine.versions import Making

__all__ = ["GenerationRecord", "History", "Ledger", "Settled", "check", "read_replies"]

UNJUDGED = frozenset({"probe", "plugin"})
"""Stages of rejections that say nothing about the code: the engine or a plugin failed."""
BEFORE = "(generation < ? OR slot < 0) ORDER BY generation, slot"
_FORGET_REJECTED = """
DELETE FROM probes WHERE digest IN (SELECT digest FROM individuals WHERE generation = ? AND stage IS NOT NULL)
AND NOT EXISTS (SELECT 1 FROM individuals WHERE individuals.digest = probes.digest AND stage IS NULL)"""


@dataclass(frozen=True, slots=True)
class Settled:
    """An individual whose fate before training is decided: `rejected`, or None when admitted."""

    individual: Individual
    fingerprint: str
    rejected: Rejected | None


class Ledger(History):
    """The one writer of a run. Holds RUN/lock until `close`."""

    _part = 0

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
            raise LedgerError(f"There is no run in {folder}.", "`ge evolve SEED --run DIR` makes one.")
        return cls(folder)

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        harden(db)
        return db

    def _check_whole(self) -> None:
        with reporting(self.path):
            verdict = self._one("PRAGMA quick_check(1)")[0]
        if verdict != "ok":
            raise LedgerError(
                f"The ledger {self.path} is damaged ({verdict}).",
                MEND,
            )

    def _upgrade(self) -> None:
        """A ledger of an older schema becomes one of this version's, all or nothing."""
        if self.schema < SCHEMA_VERSION:
            begun = Making(OF_0_1_0, tuple(sorted(self.config.checks)), {})
            with self._synchronous() as db:
                for statement in upgrade(self.schema):
                    db.execute(statement)
                db.execute("INSERT INTO parts VALUES (?,?,?,?,?)", (0, *_making_row(begun), 0.0))
            self.schema = SCHEMA_VERSION

    def close(self) -> None:
        super().close()
        self._lock.release()

    def __enter__(self) -> Ledger:
        return self

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with reporting(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _synchronous(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is on the disk, with all before it, when the block is left."""
        with reporting(self.path):
            self._db.execute("PRAGMA synchronous = FULL")
            try:
                with self._transaction() as db:
                    yield db
            finally:
                self._db.execute("PRAGMA synchronous = NORMAL")

    def _write(self, sql: str, *values: object) -> None:
        with reporting(self.path):
            self._db.execute(sql, values)

    def begin_anew(self, seed: Seed, config: RunConfig) -> None:
        """Forget a run whose seed was refused: what it holds belongs to a file or settings that do not work.

        Raises:
            LedgerError: the run's seed has a score.
        """
        if self.seed_is_scored:
            raise LedgerError(f"The run {self.folder} has begun.", "Choose another folder with --run.")
        with self._synchronous() as db:
            for table in TABLES:
                db.execute(f"DELETE FROM {table}")
            db.execute("INSERT INTO seed VALUES (?, ?)", _seed_row(seed))
            db.execute("INSERT INTO meta VALUES ('config', ?)", (to_json(config_to_dict(config)),))
        self.seed = seed

    def set_config(self, config: RunConfig, directions: Mapping[str, Direction]) -> None:
        """What this session runs with."""
        rows = [("config", to_json(config_to_dict(config))), ("directions", to_json(dict(directions)))]
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def begin_part(self, making: Making) -> None:
        """All that is written from here on was made so; a part that goes on stays the same part."""
        before = parts_of(self)
        if before and before[-1].making == making:
            self._part = before[-1].number
            return
        self._part = before[-1].number + 1 if before else 1
        with self._synchronous() as db:
            row = (self._part, *_making_row(making), time.time())
            db.execute("INSERT INTO parts VALUES (?,?,?,?,?)", row)

    def set_stopped(self, reason: str) -> None:
        with self._synchronous() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('stopped_because', ?)", (reason,))

    def add_call(self, call: Call) -> None:
        p, s, r = call.prompt, call.sampling, call.reply
        self._write(
            "INSERT OR REPLACE INTO calls VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            *(call.key, call.individual, call.generation, p.system, p.user, p.address, p.grammar, p.intent),
            *(s.temperature, s.max_tokens, s.seed, r.text, r.finish, r.prompt_tokens, r.completion_tokens),
            *(r.seconds, r.model, r.error, call.digest, call.grammar, call.canonical, time.time()),
        )

    def add_probe(self, digest: str, probe: Probe) -> None:
        self._write("INSERT OR REPLACE INTO probes VALUES (?, ?)", digest, probe_to_json(probe))

    def add_score(self, digest: str, split: str, outcome: Outcome) -> None:
        """`split` as `store.splits` names it.

        Raises ValueError when an objective is not finite: such an outcome is `Failed`.
        """
        text = outcome_to_json(outcome)
        row = (digest, split, text, time.time(), self._part)
        self._write("INSERT OR REPLACE INTO scores VALUES (?,?,?,?,?)", *row)

    def settle(self, settled: Iterable[Settled], void: Iterable[str] = ()) -> None:
        """Record who was admitted and who was not; scores of the digests in `void` belong to nobody. Who was
        settled before stays in the part that bred it."""
        rows = [(*_individual_row(one), one.individual.id, self._part) for one in settled]
        bred = "coalesce((SELECT part FROM individuals WHERE id = ?), ?)"
        with self._transaction() as db:
            db.executemany(
                f"INSERT OR REPLACE INTO individuals VALUES (?,?,?,?,?,?,?,?,?,?,?,?,{bred})", rows
            )
            db.executemany("DELETE FROM scores WHERE digest = ?", [(digest,) for digest in void])

    def begun(self, generation: int) -> bool:
        """Whether an earlier session planned this generation."""
        return self._one("SELECT 1 FROM generations WHERE generation = ?", generation) is not None

    def start_generation(self, generation: int, size: int) -> int:
        """Plan `size` slots; a generation that a killed session has planned keeps its own size."""
        self._write("INSERT OR IGNORE INTO generations VALUES (?, ?, 0, ?)", generation, size, time.time())
        return int(self._one("SELECT size FROM generations WHERE generation = ?", generation)[0])

    def finish_generation(
        self,
        generation: int,
        populations: Sequence[Sequence[str]],
        front: Sequence[str],
        merged: Sequence[str],
        moves: Sequence[Move] = (),
    ) -> None:
        """The survivor point: synchronous. `populations` are the survivors by island, once all of `moves`
        have arrived; `front` is the Pareto front of everything merged so far, `merged` are the children that
        entered, or failed to enter, a population at this point."""
        alive = [(identity, island) for island, ids in enumerate(populations) for identity in ids]
        with self._synchronous() as db:
            _write_ranked(db, "survivors", generation, alive)
            _write_ranked(db, "fronts", generation, [(identity,) for identity in front])
            _write_ranked(db, "merged", generation, [(identity,) for identity in merged])
            _write_ranked(db, "moves", generation, [(move.id, move.source, move.target) for move in moves])
            db.execute("UPDATE generations SET finished = 1 WHERE generation = ?", (generation,))
            db.execute(_FORGET_REJECTED, (generation,))

    def reply(self, key: str) -> Call | None:
        """The answer that an earlier session already has, so that it is never asked again."""
        return next(self._calls("key = ?", key), None)

    def settled(self, individual: str) -> bool:
        """Whether an earlier session decided on this individual."""
        return self._one("SELECT 1 FROM individuals WHERE id = ?", individual) is not None

    def tried(self, digest: str, address: str, grammar: str, before: int) -> frozenset[str]:
        """Canonical answers for a block of a genome, of generations before `before`."""
        sql = (
            "SELECT DISTINCT canonical FROM calls"
            " WHERE digest = ? AND address = ? AND grammar = ? AND generation < ? AND canonical <> ''"
        )
        return frozenset(row[0] for row in self._all(sql, digest, address, grammar, before))

    def seen(self, digest: str, before: int) -> str | None:
        """The first individual with this digest, of the generations before `before` or the seed, that would
        fare no better a second time. One that was refused because of another of its function stands for its
        code no longer than that other does; one that the engine or a plugin could not judge, not at all."""
        sql = f"SELECT id, stage, fingerprint FROM individuals WHERE digest = ? AND {BEFORE}"
        for identity, stage, fingerprint in self._all(sql, digest, before):
            judged = stage not in UNJUDGED
            if judged and (stage is None or not fingerprint or self.seen_function(fingerprint, before)):
                return str(identity)
        return None

    def seen_function(self, fingerprint: str, before: int) -> str | None:
        """The first admitted individual of this function, of the generations before `before` or the seed. One
        whose training had failed by then stands for none: want of memory or time is not the function's."""
        sql = (
            "SELECT id, digest, (SELECT generation FROM merged WHERE merged.id = individuals.id)"
            f" FROM individuals WHERE fingerprint = ? AND stage IS NULL AND {BEFORE}"
        )
        for identity, digest, ended in self._all(sql, fingerprint, before) if fingerprint else ():
            if ended is None or ended >= before or _was_scored(self.score(digest, "validation")):
                return str(identity)
        return None


def _was_scored(outcome: Outcome | None) -> bool:
    """Whether it has figures: those of the whole training, or of the stage after which it was stopped."""
    return isinstance(outcome, Scored) or (isinstance(outcome, Failed) and outcome.kind == "stopped")


def _write_ranked(
    db: sqlite3.Connection, table: str, generation: int, rows: Sequence[tuple[object, ...]]
) -> None:
    db.execute(f"DELETE FROM {table} WHERE generation = ?", (generation,))
    for rank, row in enumerate(rows):
        places = ", ".join("?" * (2 + len(row)))
        db.execute(f"INSERT INTO {table} VALUES ({places})", (generation, rank, *row))


def _individual_row(settled: Settled) -> tuple[object, ...]:
    one, rejected = settled.individual, settled.rejected
    genome: Genome | None = one.genome
    return (
        one.id,
        one.generation,
        one.slot,
        to_json(list(one.parents)),
        steps_to_json(one.steps),
        None if genome is None else genome.digest,
        settled.fingerprint,
        None if genome is None else to_json(genome.delta()),
        None if rejected is None else rejected.stage,
        None if rejected is None else rejected.reason,
        time.time(),
        one.island,
    )


def _seed_row(seed: Seed) -> tuple[bytes, str]:
    return seed.source, str(seed.path or "")


def _making_row(making: Making) -> tuple[str, str, str]:
    return to_json(dict(making.versions)), to_json(dict(making.others)), to_json(list(making.checks))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(
            f"The folder {folder} cannot be made: {error.strerror}.", "Choose another --run."
        ) from error


def _write_schema(path: Path, seed: Seed, config: RunConfig) -> None:
    with reporting(path):
        db = sqlite3.connect(path, isolation_level=None, timeout=10)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            if db.execute("PRAGMA user_version").fetchone()[0]:
                raise LedgerError(
                    f"There is a run in {path.parent} already.", "The same command goes on with it."
                )
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")
            for statement in STATEMENTS:
                db.execute(statement)
            db.execute("INSERT INTO seed VALUES (?, ?)", _seed_row(seed))
            db.execute("INSERT INTO meta VALUES ('config', ?)", (to_json(config_to_dict(config)),))
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            db.execute("COMMIT")
        finally:
            db.close()


def exists(folder: Path) -> bool:
    """Whether a run was begun in `folder`; a start that was killed half-way counts as none."""
    path = folder / FILE
    if not path.is_file():
        return False
    with reporting(path):
        db = connect_to_read(path)
        try:
            return bool(db.execute("PRAGMA user_version").fetchone()[0])
        finally:
            db.close()

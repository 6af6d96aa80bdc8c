"""The run's truth: every reply, rejection, score and survivor is appended here before it is acted on.

RUN/ledger.sqlite is SQLite in WAL mode. A commit survives the death of the process; the commits at
survivor points are synchronous and survive the loss of power.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ge_engine.config import RunConfig, config_to_dict
from ge_engine.contracts import Probe
from ge_engine.errors import LedgerError
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Outcome, Rejected
from ge_engine.population import Direction, Individual, Move
from ge_engine.store.audit import check
from ge_engine.store.foreign import harden
from ge_engine.store.history import (
    FILE,
    MEND,
    SCHEMA_VERSION,
    GenerationRecord,
    History,
    connect_to_read,
    read_replies,
    reporting,
)
from ge_engine.store.records import Call, outcome_to_json, probe_to_json, steps_to_json, to_json
from ge_engine.store.runlock import RunLock

__all__ = ["GenerationRecord", "History", "Ledger", "Settled", "check", "read_replies"]

SCHEMA = """
CREATE TABLE seed (source BLOB NOT NULL, path TEXT NOT NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE calls (
  key TEXT PRIMARY KEY, individual TEXT NOT NULL, generation INTEGER NOT NULL, system TEXT NOT NULL,
  user TEXT NOT NULL, address TEXT NOT NULL, grammar_asked TEXT, intent TEXT NOT NULL,
  temperature REAL NOT NULL, max_tokens INTEGER NOT NULL, seed INTEGER NOT NULL, text TEXT NOT NULL,
  finish TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
  seconds REAL NOT NULL, model TEXT NOT NULL, error TEXT NOT NULL, digest TEXT NOT NULL,
  grammar TEXT NOT NULL, canonical TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX calls_individual ON calls (individual);
CREATE INDEX calls_tried ON calls (digest, address, grammar);
CREATE TABLE individuals (
  id TEXT PRIMARY KEY, generation INTEGER NOT NULL, slot INTEGER NOT NULL, parents TEXT NOT NULL,
  steps TEXT NOT NULL, digest TEXT, fingerprint TEXT NOT NULL, delta TEXT, stage TEXT, reason TEXT,
  at REAL NOT NULL, island INTEGER NOT NULL DEFAULT 0);
CREATE INDEX individuals_order ON individuals (generation, slot);
CREATE INDEX individuals_digest ON individuals (digest);
CREATE INDEX individuals_fingerprint ON individuals (fingerprint) WHERE fingerprint <> '';
CREATE TABLE probes (digest TEXT PRIMARY KEY, probe TEXT NOT NULL);
CREATE TABLE scores (
  digest TEXT NOT NULL, split TEXT NOT NULL, outcome TEXT NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (digest, split));
CREATE TABLE generations (
  generation INTEGER PRIMARY KEY, size INTEGER NOT NULL, finished INTEGER NOT NULL, at REAL NOT NULL);
CREATE TABLE survivors (
  generation INTEGER NOT NULL, rank INTEGER NOT NULL, id TEXT NOT NULL, island INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (generation, rank)) WITHOUT ROWID;
CREATE TABLE merged (
  generation INTEGER NOT NULL, rank INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (generation, rank))
  WITHOUT ROWID;
CREATE TABLE fronts (
  generation INTEGER NOT NULL, rank INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (generation, rank))
  WITHOUT ROWID;
CREATE TABLE moves (
  generation INTEGER NOT NULL, rank INTEGER NOT NULL, id TEXT NOT NULL, source INTEGER NOT NULL,
  target INTEGER NOT NULL, PRIMARY KEY (generation, rank)) WITHOUT ROWID;
"""
UPGRADE = (
    "ALTER TABLE individuals ADD COLUMN island INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE survivors ADD COLUMN island INTEGER NOT NULL DEFAULT 0",
    SCHEMA[SCHEMA.index("CREATE TABLE moves") :].rstrip(";\n"),
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
TABLES = re.findall(r"CREATE TABLE (\w+)", SCHEMA)


@dataclass(frozen=True, slots=True)
class Settled:
    """An individual whose fate before training is decided: `rejected`, or None when admitted."""

    individual: Individual
    fingerprint: str
    rejected: Rejected | None


class Ledger(History):
    """The one writer of a run. Holds RUN/lock until `close`."""

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
        """A ledger of schema 1 becomes one of this version's, all or nothing."""
        if self._schema < SCHEMA_VERSION:
            with self._synchronous() as db:
                for statement in UPGRADE:
                    db.execute(statement)
            self._schema = SCHEMA_VERSION

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
        self._write("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?)", digest, split, text, time.time())

    def settle(self, settled: Iterable[Settled], void: Iterable[str] = ()) -> None:
        """Record who was admitted and who was not; scores of the digests in `void` belong to nobody."""
        with self._transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO individuals VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                [_individual_row(one) for one in settled],
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
            db.execute("DELETE FROM probes")

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
        """The first individual with this digest, of the generations before `before` or the seed."""
        return self._first("digest", digest, before)

    def seen_function(self, fingerprint: str, before: int) -> str | None:
        return self._first("fingerprint", fingerprint, before) if fingerprint else None

    def _first(self, column: Literal["digest", "fingerprint"], value: str, before: int) -> str | None:
        sql = (
            f"SELECT id FROM individuals WHERE {column} = ? AND (generation < ? OR slot < 0)"
            " ORDER BY generation, slot LIMIT 1"
        )
        with reporting(self.path):
            row = self._one(sql, value, before)
        return None if row is None else str(row[0])


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
            for statement in SCHEMA.split(";\n"):
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

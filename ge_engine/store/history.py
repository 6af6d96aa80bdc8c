"""What a run's ledger tells: read access, also while another process writes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ge_engine.config import RunConfig, config_from_ledger
from ge_engine.contracts import Probe, Prompt, Reply, Sampling
from ge_engine.errors import LedgerError
from ge_engine.genome import Genome
from ge_engine.outcome import Outcome, Rejected, Scored
from ge_engine.population import Direction, Individual, Move
from ge_engine.store.checked import checked, reading
from ge_engine.store.foreign import HINT, Patience, harden, require_plain, stored_seed
from ge_engine.store.records import (
    Call,
    from_json,
    outcome_from_json,
    probe_from_json,
    require_objectives,
    steps_from_json,
)
from ge_engine.store.schema import SCHEMA_VERSION

FILE = "ledger.sqlite"
MEND = "Put back a copy of it, or save what `sqlite3 ledger.sqlite .recover` finds and start a new run."
INDIVIDUAL = """
SELECT i.id, i.generation, i.slot, i.parents, i.steps, i.delta, i.stage, i.reason, s.outcome, {island}
FROM individuals i LEFT JOIN scores s ON s.digest = i.digest AND s.split = 'validation' AND i.stage IS NULL
"""


@dataclass(frozen=True, slots=True)
class GenerationRecord:
    """`size` slots were planned; `survivors` is empty until the generation is finished."""

    generation: int
    size: int
    finished: bool
    survivors: tuple[str, ...]
    at: float


@contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a LedgerError that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explained(path, error) from error


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes no row. It may write beside the database, since a ledger whose writer was
    killed has to be recovered first; where the folder is read-only, it does without."""
    uri = path.resolve().as_uri()
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    mode = "rw" if writable else "ro"
    db = sqlite3.connect(f"{uri}?mode={mode}", uri=True, isolation_level=None, timeout=10)
    db.execute("PRAGMA query_only = ON")
    harden(db)
    return db


class History:
    """Reads RUN/ledger.sqlite. Raises LedgerError: none there, damaged, of a newer schema, locked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE
        if not self.path.is_file():
            raise LedgerError(f"There is no run in {folder}.", "`ge evolve SEED --run DIR` makes one.")
        with reporting(self.path):
            self._db = self._connect()
            self._patience = Patience(self._db)
            self.schema = self._version()
            require_plain(self._db, self.path)
        self.seed = stored_seed(self.path, self._one("SELECT source, path FROM seed"))

    def _connect(self) -> sqlite3.Connection:
        return connect_to_read(self.path)

    def _version(self) -> int:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            raise LedgerError(
                f"The ledger {self.path} has schema {version}, which a newer ge-engine made.",
                "Upgrade with `pip install -U ge-engine`.",
            )
        if version < 1:
            raise LedgerError(
                f"The file {self.path} is no ledger of ge-engine.", "Choose another folder with --run."
            )
        return version

    def _one(self, sql: str, *values: Any) -> Any:
        with reporting(self.path):
            self._patience.renew()
            return self._db.execute(sql, values).fetchone()

    def _all(self, sql: str, *values: Any) -> list[Any]:
        with reporting(self.path):
            self._patience.renew()
            return self._db.execute(sql, values).fetchall()

    def _meta(self, key: str) -> Any:
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        if row is None or not isinstance(row[0], str):
            raise LedgerError(f"The ledger {self.path} holds no {key}.", HINT)
        return from_json(row[0])

    def query(self, sql: str, *values: Any) -> list[Any]:
        """Rows of a question that no other method asks."""
        return self._all(sql, *values)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def config(self) -> RunConfig:
        """The settings of the latest start of the run."""
        with reading("configuration"):
            return config_from_ledger(self._meta("config"))

    @property
    def directions(self) -> dict[str, Direction]:
        """The run's objectives, "min" or "max", in their order."""
        with reading("direction of an objective"):
            stored = self._meta("directions")
            directions: dict[str, Direction] = {name: stored[name] for name in self.config.objective_names}
            if not set(directions.values()) <= {"min", "max"}:
                raise ValueError(directions)
        return directions

    @property
    def stopped_because(self) -> str:
        """Why the latest session ended; "" while it runs or when it was killed."""
        row = self._one("SELECT value FROM meta WHERE key = 'stopped_because'")
        return str(row[0]) if row else ""

    @property
    def seed_is_scored(self) -> bool:
        """Whether the seed was found to work, without which nothing else begins."""
        return isinstance(self.score(self.seed.genome.digest, "validation"), Scored)

    @property
    def _select(self) -> str:
        return INDIVIDUAL.format(island="i.island" if self.schema > 1 else "0")

    def individual(self, identity: str) -> Individual | None:
        """One individual with its genome and its outcome on the validation split."""
        rows = self._all(self._select + " WHERE i.id = ?", identity)
        return self._individual(rows[0], self.config.objective_names) if rows else None

    def individuals(self, generation: int | None = None) -> Iterator[Individual]:
        """All, or those of one generation, seed first, then in the order of generation and slot."""
        numbers, objectives = [generation], self.config.objective_names
        if generation is None:
            numbers = [row[0] for row in self._all("SELECT DISTINCT generation FROM individuals ORDER BY 1")]
        for number in numbers:
            for row in self._all(self._select + " WHERE i.generation = ? ORDER BY i.slot", number):
                yield self._individual(row, objectives)

    def scored_points(self) -> Iterator[tuple[str, int, Mapping[str, float]]]:
        """(id, generation, objectives) of every scored individual, in order, without its genome."""
        sql = (
            "SELECT i.id, i.generation, s.outcome FROM individuals i JOIN scores s ON s.digest = i.digest"
            " WHERE s.split = 'validation' AND i.stage IS NULL ORDER BY i.generation, i.slot"
        )
        objectives = self.config.objective_names
        for identity, generation, text in self._all(sql):
            outcome = outcome_from_json(text)
            if isinstance(outcome, Scored):
                require_objectives(identity, outcome, objectives)
                yield identity, generation, outcome.objectives

    def _individual(self, row: Any, objectives: tuple[str, ...]) -> Individual:
        identity, generation, slot, parents, steps, delta, stage, reason, outcome, island = row
        with reading(f"individual {identity!r}"):
            genome = None if delta is None else Genome.from_delta(self.seed, from_json(delta))
            result: Outcome | None = Rejected(stage, reason) if stage is not None else None
            if outcome is not None:
                result = outcome_from_json(outcome)
            one = Individual(
                identity,
                generation,
                slot,
                tuple(from_json(parents)),
                steps_from_json(steps),
                genome,
                result,
                island,
            )
        if isinstance(result, Scored):
            require_objectives(identity, result, objectives)
        return checked(one, f"individual {identity!r}")

    def calls(self, individual: str) -> list[Call]:
        """Prompts and replies of one individual, in the order they were asked."""
        return list(self._calls("individual = ? ORDER BY length(key), key", individual))

    def _calls(self, where: str, *values: str) -> Iterator[Call]:
        for row in self._all(f"SELECT * FROM calls WHERE {where}", *values):
            yield _call(row)

    def replies(self) -> Iterator[tuple[str, Reply]]:
        for row in self._all("SELECT * FROM calls ORDER BY generation, individual, key"):
            yield row[0], _call(row).reply

    def tokens(self) -> tuple[int, int]:
        """Prompt and completion tokens of all calls."""
        row = self._one(
            "SELECT coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) FROM calls"
        )
        return int(row[0]), int(row[1])

    def evaluations(self) -> int:
        """Trainings scored on the validation split, the seed's included."""
        return int(self._one("SELECT count(*) FROM scores WHERE split = 'validation'")[0])

    def slots_before(self, generation: int) -> int:
        """Slots of the generations before this one."""
        sql = "SELECT coalesce(sum(size), 0) FROM generations WHERE generation < ?"
        return int(self._one(sql, generation)[0])

    def size(self, generation: int) -> int:
        """Slots of a generation that was begun."""
        return int(self._one("SELECT size FROM generations WHERE generation = ?", generation)[0])

    def merged(self, generation: int) -> tuple[str, ...]:
        """Children that entered, or failed to enter, the population when this generation was finished."""
        sql = "SELECT id FROM merged WHERE generation = ? ORDER BY rank"
        return tuple(row[0] for row in self._all(sql, generation))

    def unmerged(self, generation: int) -> tuple[str, ...]:
        """Children admitted before this generation that had not entered the population when it began."""
        sql = (
            "SELECT id FROM individuals WHERE stage IS NULL AND slot >= 0 AND generation < ?"
            " AND id NOT IN (SELECT id FROM merged WHERE generation < ?) ORDER BY generation, slot"
        )
        return tuple(row[0] for row in self._all(sql, generation, generation))

    def fronts(self, generation: int) -> tuple[str, ...]:
        """Ids of the Pareto front of everything scored until the end of a generation."""
        sql = "SELECT id FROM fronts WHERE generation = ? ORDER BY rank"
        return tuple(row[0] for row in self._all(sql, generation))

    def rejections(self) -> dict[str, int]:
        """How many individuals each rung of the ladder rejected, most first."""
        sql = "SELECT stage, count(*) FROM individuals WHERE stage IS NOT NULL GROUP BY stage"
        return dict(self._all(sql + " ORDER BY 2 DESC, 1"))

    def generations(self) -> list[GenerationRecord]:
        rows = self._all("SELECT generation, size, finished, at FROM generations ORDER BY generation")
        records = [GenerationRecord(g, size, bool(done), self.survivors(g), at) for g, size, done, at in rows]
        return [checked(record, "generation") for record in records]

    def next_generation(self) -> int:
        """The first generation that is not finished."""
        row = self._one("SELECT coalesce(max(generation) + 1, 0) FROM generations WHERE finished = 1")
        return int(row[0])

    def survivors(self, generation: int) -> tuple[str, ...]:
        """Ids of everybody alive after a generation, elites first; empty when it is not finished."""
        return tuple(dict.fromkeys(one for island in self.populations(generation) for one in island))

    def populations(self, generation: int) -> tuple[tuple[str, ...], ...]:
        """The survivors of a generation by island, those that have just arrived last."""
        column = "island" if self.schema > 1 else "0"
        sql = f"SELECT {column}, id FROM survivors WHERE generation = ? ORDER BY rank"
        rows = self._all(sql, generation)
        most = self.config.islands
        if not all(type(island) is int and 0 <= island < most for island, _ in rows):
            raise LedgerError(
                f"The ledger {self.path} has survivors on an island that the run has not.", HINT
            )
        islands = range(max((island for island, _ in rows), default=-1) + 1)
        return tuple(tuple(one for island, one in rows if island == number) for number in islands)

    def moves(self) -> tuple[tuple[int, Move], ...]:
        """Who travelled from one island to another, and after which generation."""
        sql = "SELECT generation, id, source, target FROM moves ORDER BY generation, rank"
        rows = self._all(sql) if self.schema > 1 else []
        return tuple((generation, Move(*move)) for generation, *move in rows)

    def score(self, digest: str, split: str) -> Outcome | None:
        rows = self._all("SELECT outcome FROM scores WHERE digest = ? AND split = ?", digest, split)
        return outcome_from_json(rows[0][0]) if rows else None

    def scores(self, split: str) -> dict[str, Outcome]:
        """All outcomes of one split by digest, in the order in which they came."""
        sql = "SELECT digest, outcome FROM scores WHERE split = ? ORDER BY rowid"
        return {digest: outcome_from_json(text) for digest, text in self._all(sql, split)}

    def test_outcomes(self) -> dict[str, Outcome]:
        """Outcomes on the test split by individual: the finalists and the seed, once the run has ended."""
        sql = (
            "SELECT i.id, s.outcome FROM scores s JOIN individuals i ON i.digest = s.digest"
            " WHERE s.split = 'test' AND i.stage IS NULL ORDER BY i.generation, i.slot"
        )
        objectives, outcomes = self.config.objective_names, {}
        for identity, text in self._all(sql):
            outcomes[identity] = outcome = outcome_from_json(text)
            if isinstance(outcome, Scored):
                require_objectives(identity, outcome, objectives)
        return outcomes

    def probe(self, digest: str) -> Probe | None:
        rows = self._all("SELECT probe FROM probes WHERE digest = ?", digest)
        return probe_from_json(rows[0][0]) if rows else None

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every table but for times, sorted: equal for two runs that did the same.

        Of a score's details only the names are kept: they hold times and memory.
        """
        tables = {table: sorted(self._all(sql), key=repr) for table, sql in CONTENT.items()}
        tables["scores"] = [(digest, split, _untimed(text)) for digest, split, text in tables["scores"]]
        return tables


CONTENT: Mapping[str, str] = {
    "seed": "SELECT source FROM seed",
    "calls": "SELECT key, individual, generation, system, user, address, grammar_asked, intent, temperature,"
    " max_tokens, seed, text, finish, prompt_tokens, completion_tokens, model, error, digest, grammar,"
    " canonical FROM calls",
    "individuals": "SELECT id, generation, slot, parents, steps, digest, fingerprint, delta, stage, reason,"
    " island FROM individuals",
    "scores": "SELECT digest, split, outcome FROM scores",
    "generations": "SELECT generation, size, finished FROM generations",
    "survivors": "SELECT generation, rank, id, island FROM survivors",
    "moves": "SELECT generation, rank, id, source, target FROM moves",
    "fronts": "SELECT generation, rank, id FROM fronts",
    "merged": "SELECT generation, rank, id FROM merged",
    "parts": "SELECT number, versions, others, checks FROM parts",
}


def _untimed(outcome: str) -> Any:
    data = from_json(outcome)
    return {name: sorted(value) if name == "details" else value for name, value in data.items()}


def read_replies(folder: Path) -> Mapping[str, Reply]:
    """All replies of a run by key, for `--llm replay:RUN`. Raises LedgerError."""
    with History(folder) as history:
        return dict(history.replies())


def _call(row: Any) -> Call:
    with reading("call"):
        key, individual, generation, system, user, address, asked, intent, temperature, limit, seed = row[:11]
        (
            text,
            finish,
            prompt_tokens,
            completion_tokens,
            seconds,
            model,
            error,
            digest,
            grammar,
            canonical,
            at,
        ) = row[11:]
    call = Call(
        key,
        individual,
        generation,
        Prompt(system, user, address, asked, intent),
        Sampling(temperature, limit, seed),
        Reply(text, finish, prompt_tokens, completion_tokens, seconds, model, error),
        digest,
        grammar,
        canonical,
        at,
    )
    return checked(call, f"call {key!r}")


def _explained(path: Path, error: sqlite3.Error) -> LedgerError:
    name = getattr(error, "sqlite_errorname", "") or ""
    again = "run the same command again: it goes on where it stopped."
    if name.startswith("SQLITE_FULL") or name in ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC"):
        return LedgerError(f"The disk is full: {path} cannot be written.", f"Free some space and {again}")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LedgerError(f"The ledger {path} is locked by another program.", f"Close it and {again}")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return LedgerError(
            f"The ledger {path} is damaged ({error}).",
            MEND,
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return LedgerError(
            f"The ledger {path} cannot be opened for this ({error}).", "Check the folder's permissions."
        )
    if name.startswith(("SQLITE_INTERRUPT", "SQLITE_TOOBIG")):
        return LedgerError(f"The ledger {path} asks for more than any run needs ({error}).", HINT)
    return LedgerError(f"The ledger {path} cannot be used: {error} {name}.", f"Mend the cause and {again}")

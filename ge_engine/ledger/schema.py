"""The tables of a run database, and how the rows of an older version read as rows of this one."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from functools import cache

SCHEMA_VERSION, FIRST_WITH_FILES = 6, 6
"""1: islands were not known. 2 (version 0.1.0): nor with what a part of a run was made. 3: a score's key was
one text ("validation/seed 1"), and whether a training was promoted stood in its details. 4: scores had no
errors, and nothing tied; no child was made by hand; a rewritten block was recorded by its number among the
definitions of its file, and reads as such (`Seed.restored`). 5: a seed model had one file. A reader takes all
of them as they are; a writer brings them up to date."""

SCHEMA = """
CREATE TABLE seed (source BLOB NOT NULL, path TEXT NOT NULL);
CREATE TABLE files (
  rank INTEGER PRIMARY KEY, name TEXT NOT NULL, source BLOB NOT NULL, path TEXT NOT NULL);
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
  at REAL NOT NULL, island INTEGER NOT NULL DEFAULT 0, part INTEGER NOT NULL DEFAULT 0);
CREATE INDEX individuals_order ON individuals (generation, slot);
CREATE INDEX individuals_digest ON individuals (digest);
CREATE INDEX individuals_fingerprint ON individuals (fingerprint) WHERE fingerprint <> '';
CREATE TABLE probes (digest TEXT PRIMARY KEY, probe TEXT NOT NULL);
CREATE TABLE scores (
  digest TEXT NOT NULL, split TEXT NOT NULL, seed INTEGER NOT NULL, epochs INTEGER NOT NULL,
  outcome TEXT NOT NULL, promoted INTEGER, at REAL NOT NULL, part INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (digest, split, seed, epochs));
CREATE TABLE generations (
  generation INTEGER PRIMARY KEY, size INTEGER NOT NULL, finished INTEGER NOT NULL, at REAL NOT NULL);
CREATE TABLE survivors (
  generation INTEGER NOT NULL, rank INTEGER NOT NULL, id TEXT NOT NULL, island INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (generation, rank)) WITHOUT ROWID;
CREATE TABLE merged (
  generation INTEGER NOT NULL, rank INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (generation, rank))
  WITHOUT ROWID;
CREATE INDEX merged_id ON merged (id);
CREATE TABLE fronts (
  generation INTEGER NOT NULL, rank INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (generation, rank))
  WITHOUT ROWID;
CREATE TABLE moves (
  generation INTEGER NOT NULL, rank INTEGER NOT NULL, id TEXT NOT NULL, source INTEGER NOT NULL,
  target INTEGER NOT NULL, PRIMARY KEY (generation, rank)) WITHOUT ROWID;
CREATE TABLE parts (
  number INTEGER PRIMARY KEY, versions TEXT NOT NULL, others TEXT NOT NULL, checks TEXT NOT NULL,
  at REAL NOT NULL);
CREATE TABLE hand_made (
  number INTEGER PRIMARY KEY, generation INTEGER, slot INTEGER, delta TEXT NOT NULL, note TEXT NOT NULL,
  at REAL NOT NULL);
"""
STATEMENTS: tuple[str, ...] = tuple(one.strip() for one in SCHEMA.split(";\n") if one.strip())
_INDEX = "CREATE INDEX "
TABLES: tuple[str, ...] = tuple(re.findall(r"CREATE TABLE (\w+)", SCHEMA))

_SEED = "instr(split, '/seed ')"
_STAGED = "split LIKE '%/% epoch%'"
_EPOCHS = "CAST(substr(split, instr(split, '/') + 1) AS INTEGER)"
_GOES_ON = "'$.details.\"goes on\"'"
CHANGED: Mapping[int, Mapping[str, Mapping[str, str]]] = {
    1: {"individuals": {"island": "0"}, "survivors": {"island": "0"}},
    2: {"individuals": {"part": "0"}, "scores": {"part": "0"}},
    3: {
        "scores": {
            "split": "substr(split, 1, instr(split || '/', '/') - 1)",
            "seed": f"CASE WHEN {_SEED} THEN CAST(substr(split, {_SEED} + 6) AS INTEGER) ELSE 0 END",
            "epochs": f"CASE WHEN {_STAGED} THEN {_EPOCHS} ELSE 0 END",
            "outcome": f"CASE WHEN {_STAGED} THEN json_remove(outcome, {_GOES_ON}) ELSE outcome END",
            "promoted": f"CASE WHEN {_STAGED} THEN json_extract(outcome, {_GOES_ON}) END",
        }
    },
}
"""By version and table: columns of the next version, made of its own."""
ADDED: Mapping[int, tuple[str, ...]] = {1: ("moves",), 2: ("parts",), 4: ("hand_made",), 5: ("files",)}
"""By version: tables that only the next one has."""


def insert(table: str, columns: Iterable[str]) -> str:
    """The statement that writes a row of `columns`, given by their names, over one with the same key."""
    names = tuple(columns)
    return f"INSERT OR REPLACE INTO {table} ({', '.join(names)}) VALUES (:{', :'.join(names)})"


def as_current(version: int) -> dict[str, str]:
    """By table that has changed since `version`: a query for its rows in the columns of this version."""
    steps = range(version, SCHEMA_VERSION)
    queries = {}
    for table, columns in _columns().items():
        made: dict[str, str] = {}
        for step in steps:
            made |= CHANGED.get(step, {}).get(table, {})
        if any(table in ADDED.get(step, ()) for step in steps):
            queries[table] = f"SELECT {', '.join(f'NULL AS {name}' for name in columns)} WHERE 0"
        elif made:
            named = ", ".join(f"{made.get(name, name)} AS {name}" for name in columns)
            queries[table] = f"SELECT {named} FROM main.{table}"
    return queries


def upgrade(version: int) -> Iterator[str]:
    """The statements that bring a run database of an older version up to date."""
    for table, query in as_current(version).items():
        is_new = f"main.{table}" not in query
        if not is_new:
            yield f"ALTER TABLE {table} RENAME TO older"
        yield next(one for one in STATEMENTS if one.startswith(f"CREATE TABLE {table} "))
        if not is_new:
            yield f"INSERT INTO {table} {query.replace(f'main.{table}', 'older')}"
            yield "DROP TABLE older"
    for statement in STATEMENTS:
        if statement.startswith(_INDEX):
            yield statement.replace(_INDEX, f"{_INDEX}IF NOT EXISTS ", 1)
    yield f"PRAGMA user_version = {SCHEMA_VERSION}"


@cache
def _columns() -> Mapping[str, tuple[str, ...]]:
    """The columns of each table, in their order."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA)
        named = "SELECT name FROM pragma_table_info(?)"
        return {table: tuple(name for (name,) in db.execute(named, (table,))) for table in TABLES}

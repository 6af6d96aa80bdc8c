"""The tables of a ledger, and how those of an older version become them."""

from __future__ import annotations

import re
from collections.abc import Mapping

SCHEMA_VERSION = 3
"""1: islands were not known. 2 (version 0.1.0): nor with what a part of a run was made. A reader takes both
as they are; a writer brings them up to date."""

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
  at REAL NOT NULL, island INTEGER NOT NULL DEFAULT 0, part INTEGER NOT NULL DEFAULT 0);
CREATE INDEX individuals_order ON individuals (generation, slot);
CREATE INDEX individuals_digest ON individuals (digest);
CREATE INDEX individuals_fingerprint ON individuals (fingerprint) WHERE fingerprint <> '';
CREATE TABLE probes (digest TEXT PRIMARY KEY, probe TEXT NOT NULL);
CREATE TABLE scores (
  digest TEXT NOT NULL, split TEXT NOT NULL, outcome TEXT NOT NULL, at REAL NOT NULL,
  part INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (digest, split));
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
CREATE TABLE parts (
  number INTEGER PRIMARY KEY, versions TEXT NOT NULL, others TEXT NOT NULL, checks TEXT NOT NULL,
  at REAL NOT NULL);
"""
STATEMENTS: tuple[str, ...] = tuple(one.strip() for one in SCHEMA.split(";\n") if one.strip())
TABLES: tuple[str, ...] = tuple(re.findall(r"CREATE TABLE (\w+)", SCHEMA))


def _made(table: str) -> str:
    return next(one for one in STATEMENTS if one.startswith(f"CREATE TABLE {table} "))


STEPS: Mapping[int, tuple[str, ...]] = {
    1: (
        "ALTER TABLE individuals ADD COLUMN island INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE survivors ADD COLUMN island INTEGER NOT NULL DEFAULT 0",
        _made("moves"),
    ),
    2: (
        "ALTER TABLE individuals ADD COLUMN part INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE scores ADD COLUMN part INTEGER NOT NULL DEFAULT 0",
        _made("parts"),
    ),
}
"""By the version that they lead on from."""


def upgrade(version: int) -> tuple[str, ...]:
    """The statements that bring a ledger of an older version up to date."""
    steps = (statement for older in range(version, SCHEMA_VERSION) for statement in STEPS[older])
    return (*steps, f"PRAGMA user_version = {SCHEMA_VERSION}")

"""The database of a ledger: connections, and SQLite's errors in words."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ge_engine.errors import LedgerError
from ge_engine.ledger.foreign import HINT, harden
from ge_engine.ledger.schema import as_current

FILE = "ledger.sqlite"
RESTORE = "Put back a copy of it, or save what `sqlite3 ledger.sqlite .recover` finds and start a new run."


@contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a LedgerError that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explained(path, error) from error


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes no row, on which a ledger of an older version reads as one of this version.

    It may write beside the database, since a ledger whose writer was killed has to be recovered first; where
    the folder is read-only, it does without.
    """
    uri = path.resolve().as_uri()
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    mode = "rw" if writable else "ro"
    db = sqlite3.connect(f"{uri}?mode={mode}", uri=True, isolation_level=None, timeout=10)
    harden(db)
    db.execute("PRAGMA temp_store = MEMORY")
    for table, rows in as_current(version_of(db)).items():
        db.execute(f"CREATE TEMP VIEW {table} AS {rows}")
    db.execute("PRAGMA query_only = ON")
    return db


def connect_to_write(path: Path) -> sqlite3.Connection:
    """A connection in WAL mode whose commits survive the death of the process."""
    db = sqlite3.connect(path, isolation_level=None, timeout=10)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    harden(db)
    return db


def version_of(db: sqlite3.Connection) -> int:
    """The version of its schema; 0: none."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def exists(folder: Path) -> bool:
    """Whether a run was begun in `folder`; a start that was killed half-way counts as none."""
    path = folder / FILE
    if not path.is_file():
        return False
    with reporting(path):
        db = connect_to_read(path)
        try:
            return bool(version_of(db))
        finally:
            db.close()


def _explained(path: Path, error: sqlite3.Error) -> LedgerError:
    name = getattr(error, "sqlite_errorname", "") or ""
    again = "run the same command again: it goes on where it stopped."
    if name.startswith("SQLITE_FULL") or name in ("SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC"):
        return LedgerError(f"The disk is full: {path} cannot be written.", f"Free some space and {again}")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LedgerError(f"The ledger {path} is locked by another program.", f"Close it and {again}")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return LedgerError(f"The ledger {path} is damaged ({error}).", RESTORE)
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return LedgerError(
            f"The ledger {path} cannot be opened for this ({error}).", "Check the folder's permissions."
        )
    if name.startswith(("SQLITE_INTERRUPT", "SQLITE_TOOBIG")):
        return LedgerError(f"The ledger {path} asks for more than any run needs ({error}).", HINT)
    return LedgerError(f"The ledger {path} cannot be used: {error} {name}.", f"Fix the cause and {again}")

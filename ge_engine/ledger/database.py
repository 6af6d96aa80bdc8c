"""The database of a run: connections, and SQLite's errors in words."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ge_engine.errors import LedgerError
from ge_engine.ledger.foreign import HINT, harden
from ge_engine.ledger.schema import as_current

FILE = "ledger.sqlite"
_UNWRITABLE = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR_SHM")
"""Beginnings of the errors where SQLite cannot make the files that it wants beside a database."""
RESTORE = "Put back a copy of it, or save what `sqlite3 ledger.sqlite .recover` finds and start a new run."


@contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a LedgerError that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explained(path, error) from error


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes no row, on which a run database of an older version reads as one of this
    version.

    It may write beside the database, since a run database whose writer was killed has to be recovered first;
    where nothing can be written there (another user's run, read-only media, a full disk), it reads a finished
    run database as it is, and a copy of one that was cut off.
    """
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    db = _opened(path, "mode=rw" if writable else "mode=ro")
    try:
        version_of(db)
    except sqlite3.OperationalError as error:
        if not (error.sqlite_errorname or "").startswith(_UNWRITABLE):
            raise
        db.close()
        db = _copied(path) if _cut_off(path) else _opened(path, "immutable=1")
    harden(db)
    db.execute("PRAGMA temp_store = MEMORY")
    for table, rows in as_current(version_of(db)).items():
        db.execute(f"CREATE TEMP VIEW {table} AS {rows}")
    db.execute("PRAGMA query_only = ON")
    return db


def _opened(path: Path, how: str) -> sqlite3.Connection:
    uri = path.resolve().as_uri()
    return sqlite3.connect(f"{uri}?{how}", uri=True, isolation_level=None, timeout=10)


def _cut_off(path: Path) -> bool:
    """Whether its writer has left rows beside it."""
    log = _log_of(path)
    return log.exists() and log.stat().st_size > 0


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _copied(path: Path) -> sqlite3.Connection:
    """A copy in memory of the database with what its log holds. Raises LedgerError: no room for one."""
    try:
        with tempfile.TemporaryDirectory(prefix="ge-ledger-") as folder:
            copies = [shutil.copy(one, folder) for one in (path, _log_of(path))]
            whole = sqlite3.connect(":memory:", isolation_level=None)
            with closing(sqlite3.connect(copies[0])) as copy:
                copy.backup(whole)
            return whole
    except OSError as error:
        raise LedgerError(
            f"The run of {path} was cut off, and there is no room for the copy that reading needs: {error}.",
            "Free some space, or set TMPDIR to a folder with room.",
        ) from error


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
    if not os.path.isfile(path):
        return False
    with reporting(path):
        db = connect_to_read(path)
        try:
            return bool(version_of(db))
        finally:
            db.close()


def _explained(path: Path, error: sqlite3.Error) -> LedgerError:
    name = getattr(error, "sqlite_errorname", "") or ""
    again = "rerun; the run resumes."
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR_SHM", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC")):
        return LedgerError(f"The disk is full: {path} cannot be written.", f"Free some space and {again}")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LedgerError(f"The run database {path} is locked by another program.", f"Close it and {again}")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return LedgerError(f"The run database {path} is damaged ({error}).", RESTORE)
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return LedgerError(
            f"The run database {path} cannot be opened for this ({error}).", "Check the folder's permissions."
        )
    if name.startswith(("SQLITE_INTERRUPT", "SQLITE_TOOBIG")):
        return LedgerError(f"The run database {path} asks for more than any run needs ({error}).", HINT)
    return LedgerError(
        f"The run database {path} cannot be used: {error} {name}.", f"Fix the cause and {again}"
    )

"""A run database that somebody else may have made: plain tables alone, and bounds on each question."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from ge_engine.errors import LedgerError, SeedError
from ge_engine.genome import Seed
from ge_engine.joint_genome import is_file_name, joined
from ge_engine.source.language import language_of

LONGEST_CELL = 64 * 2**20
"""Bytes of one cell. The longest that a run writes is a prompt or a training's curve."""
STEPS_BETWEEN, MOST_ROUNDS = 100_000, 20_000
"""A question may take their product in steps of SQLite's machine: minutes."""
STRANGE = """
SELECT type, name FROM sqlite_master
WHERE type NOT IN ('table', 'index') OR sql LIKE 'create virtual%' ORDER BY type DESC, name LIMIT 1
"""
HINT = "Somebody has changed it. Put back a copy of it, or start a new run."


class Patience:
    """Ends a question to the database that takes too long; each begins with `renew`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._rounds = 0
        db.set_progress_handler(self._go_on, STEPS_BETWEEN)

    def renew(self) -> None:
        """A new question is asked."""
        self._rounds = 0

    def _go_on(self) -> int:
        self._rounds += 1
        return int(self._rounds > MOST_ROUNDS)


def harden(db: sqlite3.Connection) -> None:
    """Let nothing in the database act: no functions from its schema, no endless cells, no other file."""
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_CELL)
    db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
        db.execute(f"PRAGMA {pragma}")


def require_plain(db: sqlite3.Connection, path: Path) -> None:
    """Raises LedgerError where the database has views, triggers, virtual tables or computed columns."""
    found = db.execute(STRANGE).fetchone()
    if found is not None:
        raise LedgerError(f"The run database {path} has a {found[0]} {found[1]!r}, which no run has.", HINT)
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        computed = db.execute("SELECT name FROM pragma_table_xinfo(?) WHERE hidden <> 0", (name,)).fetchone()
        if computed is not None:
            column = f"{name}.{computed[0]}"
            raise LedgerError(
                f"The run database {path} has a computed column {column!r}, which no run has.", HINT
            )


def stored_seed(path: Path, row: object, files: Sequence[tuple[object, ...]] = ()) -> Seed:
    """The seed model in a run database's row (source, path); of several `files`, rows (name, source, path).
    Raises LedgerError where it is none, SeedError where it cannot be read."""
    main = _stored_file(path, row, Seed.from_bytes)
    if not files:
        return main
    found: dict[str, Seed] = {}
    for name, *rest in files:
        if not isinstance(name, str) or not is_file_name(name) or name in found:
            raise _no_seed(path)
        found[name] = _stored_file(path, tuple(rest), partial(Seed.parsed, language=language_of(name)))
    if next(iter(found.values())).source != main.source:
        raise _no_seed(path)
    return joined(found)


def _stored_file(path: Path, row: object, read: Callable[[bytes, Path | None], Seed]) -> Seed:
    match row:
        case (bytes() as source, str() as name) if "\0" not in name:
            return read(source, Path(name) if name else None)
    raise _no_seed(path)


def _no_seed(path: Path) -> LedgerError:
    return LedgerError(f"The run database {path} holds no seed model.", "It is damaged; start a new run.")


def confirmed(seed: Seed) -> Seed:
    """The seed model as it may run: with its path where the file there is the seed model, so that nothing but
    the folder of a file that is known opens to it; else without. Of several files, all or none have paths,
    and all of these lie below one folder, as they did."""
    there = all(one.path is None or holds(one.path, one.source) for one in seed.files.values())
    if there and len(set(_folders(seed))) == 1:
        return seed
    return joined({name: Seed.parsed(one.source, language=one.language) for name, one in seed.files.items()})


def to_run(seed: Seed) -> Seed:
    """As `confirmed`, of a seed model that is to be built again: of several files, without their places one
    does not find another. Raises SeedError where they are not there as the run read them."""
    found = confirmed(seed)
    if len(seed.files) == 1 or found is seed:
        return found
    gone = next(
        (one.path for one in seed.files.values() if not (one.path and holds(one.path, one.source))), None
    )
    raise SeedError(
        f"The seed model's files are not all there as the run read them: {gone or seed.path}.",
        "Put them back where they were, or begin a new run.",
    )


def _folders(seed: Seed) -> Iterator[str]:
    """For each file the folder below which its name leads to it: of files that were moved apart it is not the
    same."""
    for name, one in seed.files.items():
        path = os.path.abspath(one.path) if one.path and name else ""
        yield path.removesuffix(name)


def holds(path: Path, source: bytes) -> bool:
    """Whether a plain file holds `source`, and nothing else; one that is no file is not opened."""
    try:
        there = os.stat(path)
        return stat.S_ISREG(there.st_mode) and there.st_size == len(source) and path.read_bytes() == source
    except OSError:
        return False

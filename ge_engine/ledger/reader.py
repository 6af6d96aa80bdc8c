"""An open run database: its connection, its version, and questions to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from ge_engine.errors import LedgerError
from ge_engine.ledger.database import FILE, connect_to_read, reporting, version_of
from ge_engine.ledger.foreign import Patience, require_plain, stored_seed
from ge_engine.ledger.schema import FIRST_WITH_FILES, SCHEMA_VERSION


class Reader:
    """RUN/ledger.sqlite, opened. Raises LedgerError: none there, damaged, of a newer schema, locked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE
        if not self.path.is_file():
            raise LedgerError(f"There is no run in {folder}.", "`ge evolve FILE --run DIR` makes one.")
        with reporting(self.path):
            self._db = self._connect()
            self._patience = Patience(self._db)
            self.schema = self._version()
            require_plain(self._db, self.path)
        row = self._one("SELECT source, path FROM seed")
        self.seed = stored_seed(self.path, row and tuple(row), self._files())

    def _files(self) -> list[Any]:
        """Name, source and path of each file of the seed model, where it has several."""
        if self.schema < FIRST_WITH_FILES:
            return []
        return self.query("SELECT name, source, path FROM files ORDER BY rank")

    def _connect(self) -> sqlite3.Connection:
        return connect_to_read(self.path)

    def _version(self) -> int:
        version = version_of(self._db)
        if version > SCHEMA_VERSION:
            raise LedgerError(
                f"The run database {self.path} has schema {version}, which a newer ge-engine made.",
                "Upgrade with `pip install -U ge-engine`.",
            )
        if version < 1:
            raise LedgerError(
                f"The file {self.path} is no run database of ge-engine.", "Choose another folder with --run."
            )
        return version

    # --- questions ----------------------------------------------------------------------------

    def query(self, sql: str, *values: object) -> list[Any]:
        """Rows, as tuples, of a question that no other method asks; places are "?"."""
        with reporting(self.path):
            self._patience.renew()
            return self._db.execute(sql, values).fetchall()

    def _rows(self, sql: str, **values: object) -> list[sqlite3.Row]:
        """Rows with named columns; places are named, too."""
        with reporting(self.path):
            self._patience.renew()
            cursor = self._db.cursor()
            cursor.row_factory = sqlite3.Row
            return cursor.execute(sql, values).fetchall()

    def stream(self, sql: str, **values: object) -> Iterator[sqlite3.Row]:
        """As `_rows`, but only some are held at a time; they are taken before anything is written."""
        with reporting(self.path):
            self._patience.renew()
            cursor = self._db.cursor()
            cursor.row_factory = sqlite3.Row
            yield from cursor.execute(sql, values)

    def _one(self, sql: str, **values: object) -> sqlite3.Row | None:
        return next(iter(self._rows(sql, **values)), None)

    def _number(self, sql: str, **values: object) -> int:
        row = self._one(sql, **values)
        return int(row[0]) if row else 0

    def _ids(self, sql: str, **values: object) -> tuple[str, ...]:
        return tuple(row[0] for row in self._rows(sql, **values))

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

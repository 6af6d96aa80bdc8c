"""Writes to a run database: single rows, and transactions that survive the process or the loss of power."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ge_engine.ledger.database import connect_to_write, reporting
from ge_engine.ledger.memo import Memo
from ge_engine.ledger.rows import Columns
from ge_engine.ledger.schema import insert


class Transactions(Memo):
    """A run database that can be written to. Raises LedgerError where the disk or the file refuse."""

    def _connect(self) -> sqlite3.Connection:
        return connect_to_write(self.path)

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

    def _write(self, table: str, row: Columns) -> None:
        with reporting(self.path):
            put_row(self._db, table, row)


def put_row(db: sqlite3.Connection, table: str, row: Columns) -> None:
    """Write a row, over one with the same key."""
    db.execute(insert(table, row), row)

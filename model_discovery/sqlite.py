"""SQLite files that several processes share."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager


def use_wal(db: sqlite3.Connection, seconds: float) -> None:
    """Readers do not wait for a writer, nor it for them; the file remembers it.

    SQLite's busy timeout does not cover the change of mode, which several processes begin at once.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All that is written inside is there afterwards, or nothing of it.

    An interrupt may come while BEGIN waits for its turn: that transaction is rolled back too, or the next one
    would be refused and every other process wait.
    """
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")

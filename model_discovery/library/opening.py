"""How the database of a library is opened: to be changed, or only read where its folder cannot be written to.

SQLite wants to write beside the file even in order to read it (the ``-shm`` file of WAL mode). Where it may
not, there are two cases. Somebody is writing, or was killed while writing: the ``-wal`` and ``-shm`` files
are there, and SQLite reads them along. Or the file has all there is: it is opened as one that never changes,
and who reads compares what it was like before and after (`Seen`), as its owner may change it all the same.
"""

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.sqlite import use_wal

_LARGEST_JOURNAL, _CACHE_KIB = 16 * 2**20, 64 * 2**10
# Adding a paper changes many of the pages that the one before has changed: copied once for several.
_CHECKPOINT_PAGES = 8_000
_TRIES, _BUSY_SECONDS = 5, 60.0


@dataclass(frozen=True)
class Seen:
    """What is different of a file after it was changed.

    ``live``: changes wait beside it, and SQLite itself keeps apart who reads and who writes.
    """

    file: int
    size: int
    time: int
    live: bool


def obstacle(file: Path) -> Path | None:
    """What cannot be written to, of a database, the files beside it and their folder; None when all can."""
    if not _may(file.parent, os.W_OK | os.X_OK):
        return file.parent
    beside = (file, _beside(file, "-wal"), _beside(file, "-shm"), file.with_suffix(".lock"))
    return next((one for one in beside if one.exists() and not _may(one, os.W_OK)), None)


def open_to_write(file: Path) -> sqlite3.Connection:
    """A connection that may write; the file is made where there is none."""
    connection = sqlite3.connect(file, timeout=_BUSY_SECONDS, isolation_level=None)
    use_wal(connection, _BUSY_SECONDS)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(f"PRAGMA journal_size_limit={_LARGEST_JOURNAL}")
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    return connection


def open_to_read(file: Path) -> tuple[sqlite3.Connection, Seen]:
    """A connection that writes nothing at all, and what the file is like."""
    if not _may(file, os.R_OK):
        raise UserError(
            f"There is no library in {file.parent} that can be read, and none can be made there.",
            hint="set LIBRARY_DIR to a folder of your own",
        )
    for left in reversed(range(_TRIES)):
        seen = look(file)
        if seen.live and not _may(_beside(file, "-shm"), os.R_OK):
            raise UserError(
                f"{_beside(file, '-wal')} has changes that cannot be read from here.",
                hint="have its owner run library stats once, or copy the folder to one of your own",
                exit_code=EXIT_FAILED,
            )
        uri = f"{file.absolute().as_uri()}?mode=ro{'' if seen.live else '&immutable=1'}"
        connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
            connection.execute("SELECT 1 FROM sqlite_master")
            break
        except sqlite3.DatabaseError:
            connection.close()
            if not left or look(file) == seen:
                raise
    return connection, seen


def look(file: Path) -> Seen:
    """What the file is like now."""
    try:
        live = _beside(file, "-wal").stat().st_size > 0
    except FileNotFoundError:
        live = False
    try:
        facts = file.stat()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.", exit_code=EXIT_FAILED) from None
    return Seen(facts.st_ino, facts.st_size, facts.st_mtime_ns, live)


def _may(path: Path, how: int) -> bool:
    return os.access(path, how, effective_ids=os.access in os.supports_effective_ids)


def _beside(file: Path, ending: str) -> Path:
    return file.with_name(file.name + ending)

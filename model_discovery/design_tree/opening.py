"""Opening a tree: a new file, a file of this release, of an older one, of a newer one, a damaged one."""

import errno
import os
import sqlite3
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from model_discovery.design_tree.connecting import Place, make_engine, quick_check, read_revision, stamp
from model_discovery.design_tree.faults import explain
from model_discovery.design_tree.tables import METADATA, REVISIONS
from model_discovery.design_tree.upgrade import upgrade
from model_discovery.errors import EXIT_FAILED, UserError

SQLITE_HEADER = b"SQLite format 3\x00"
# A quick check reads the whole file, so large ones are only looked over by SQLite as it reads them.
QUICK_CHECK_BYTES = 8 << 20


def open_engine(place: Place, *, create: bool) -> Engine:
    """An engine over a database that has the present schema.

    Raises
    ------
    UserError
        When the file is missing (and not ``create``), damaged, not a design tree, of a newer release, locked,
        or in a place that cannot be written. The file is then as it was.
    """
    if place.file is not None:
        _look_at(place.file, create=create)
    engine = make_engine(place)
    try:
        _ready(engine, place, create=create)
    except (DBAPIError, sqlite3.Error) as error:
        engine.dispose()
        cause = error.orig if isinstance(error, DBAPIError) else error
        if (told := explain(cause, place.shown)) is not None:
            raise told from error
        raise
    except BaseException:
        engine.dispose()
        raise
    return engine


def _look_at(file: Path, *, create: bool) -> None:
    """What can be said about the file without giving it to SQLite."""
    try:
        if not file.exists():
            if not create:
                raise UserError(f"There is no design tree {file}.", hint="--db names the file")
            file.parent.mkdir(parents=True, exist_ok=True)
            head = b""
        elif file.is_dir():
            raise UserError(f"{file} is a folder, not a design tree.", hint="--db names the file in it")
        else:
            with file.open("rb+") as stream:
                head = stream.read(len(SQLITE_HEADER))
        # SQLite would leave files behind that it cannot use later on.
        if not os.access(
            file.parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids
        ):
            raise PermissionError(errno.EACCES, "its folder cannot be written")
    except OSError as error:
        raise UserError(
            f"Cannot open the design tree {file}: {error.strerror}.",
            hint="the file and its folder must be writable (SQLite keeps a -wal and a -shm file beside it): "
            "change the permissions, or choose another place with --db",
            exit_code=EXIT_FAILED,
        ) from None
    if head and head != SQLITE_HEADER:
        raise UserError(
            f"{file} is not a design tree: it is no SQLite database, or its beginning is damaged.",
            hint="it was left as it is; restore a copy, or choose another file with --db",
        )


def _ready(engine: Engine, place: Place, *, create: bool) -> None:
    """Bring the database to the present schema: nothing to do, create, or upgrade."""
    with engine.connect().execution_options(design_tree_read_only=True) as connection:
        found = read_revision(connection, place)
        if place.file is not None and 0 < place.file.stat().st_size <= QUICK_CHECK_BYTES:
            quick_check(connection, place)
    if found is None:
        if not create:
            raise UserError(f"The design tree {place.shown} is empty.", hint="`discover` fills it")
        _create(engine, place)
    elif found != REVISIONS[-1]:
        upgrade(place, found)
    if place.file is not None:
        _use_wal(engine)


def _create(engine: Engine, place: Place) -> None:
    """Make the tables in one transaction; whoever comes second finds them."""
    with engine.begin() as connection:
        if read_revision(connection, place) is None:
            METADATA.create_all(connection)
            stamp(connection, REVISIONS[-1])


def _use_wal(engine: Engine) -> None:
    """Readers do not wait for the writer, nor it for them. The file remembers it."""
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        if raw.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            return
        try:
            raw.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # Another process is using the new file at this moment; it, or the next opening, does this.
            if not error.sqlite_errorname.startswith("SQLITE_BUSY"):
                raise

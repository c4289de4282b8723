"""Opening a tree: a new file, a file of this release, of an older one, of a newer one, a damaged one."""

import errno
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from model_discovery.design_tree.faults import explain
from model_discovery.design_tree.tables import METADATA, REVISIONS
from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.strict_json import dump_json

SQLITE_HEADER = b"SQLite format 3\x00"
BUSY_SECONDS = 20.0
# A quick check reads the whole file, so large ones are only looked over by SQLite as it reads them.
QUICK_CHECK_BYTES = 8 << 20
VERSION_TABLE = "alembic_version"


@dataclass(frozen=True)
class Place:
    """Where a tree is: a URL, and the file when it is one of SQLite on disk."""

    url: URL
    file: Path | None
    shown: str

    @classmethod
    def of(cls, location: str | Path) -> "Place":
        """From a path or an SQLAlchemy URL."""
        if isinstance(location, str) and "://" in location:
            try:
                url = make_url(location)
            except ArgumentError:
                raise UserError(
                    f"'{location}' is no database URL.", hint="a path, or e.g. postgresql://user@host/name"
                ) from None
        else:
            if not str(location).strip():
                raise UserError("The path of the design tree is empty.", hint="for example design_tree.db")
            url = URL.create("sqlite", database=str(Path(location).expanduser()))
        if url.get_backend_name() != "sqlite":
            return cls(url, None, url.render_as_string(hide_password=True))
        if not url.database or url.database == ":memory:":
            return cls(url, None, "in memory")
        file = Path(url.database).absolute()
        return cls(url.set(database=str(file)), file, str(file))


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


def make_engine(place: Place, *, foreign_keys: bool = True) -> Engine:
    """An engine with this room's rules: JSON without NaN, explicit transactions, foreign keys enforced."""
    sqlite = place.url.get_backend_name() == "sqlite"
    extra: dict[str, Any] = {"poolclass": StaticPool} if sqlite and place.file is None else {}
    if sqlite:
        extra["connect_args"] = {"timeout": BUSY_SECONDS, "check_same_thread": False}
    try:
        engine = create_engine(place.url, json_serializer=dump_json, **extra)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise UserError(
            f"No driver for {place.shown}: {error}.",
            hint="for PostgreSQL: pip install 'psycopg[binary]' "
            "and a URL that starts with postgresql+psycopg://",
        ) from None
    if sqlite:
        _sqlite_rules(engine, foreign_keys)
    return engine


def _sqlite_rules(engine: Engine, foreign_keys: bool) -> None:
    def on_connect(connection: Any, _record: Any) -> None:
        # The driver's own idea of when a transaction begins would split ours.
        connection.isolation_level = None
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        # With WAL: nothing is lost by a kill; a power cut may lose the last commits, never the file.
        connection.execute("PRAGMA synchronous = NORMAL")

    def on_begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("design_tree_read_only", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)


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
        from model_discovery.design_tree.upgrade import upgrade

        upgrade(place, found)
    if place.file is not None:
        _use_wal(engine)


def read_revision(connection: Connection, place: Place, revisions: tuple[str, ...] = REVISIONS) -> str | None:
    """The schema revision, None for an empty database; UserError for someone else's or a newer one."""
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return None
    if VERSION_TABLE not in tables or "campaign" not in tables:
        raise UserError(
            f"{place.shown} is a database of another program (its tables: {', '.join(sorted(tables)[:5])}).",
            hint="it was left as it is; choose another file with --db",
        )
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    if found not in revisions:
        raise UserError(
            f"The design tree {place.shown} was written by a newer release (its schema is {found}, "
            f"this release knows {revisions[-1]}).",
            hint="upgrade model_discovery; the file was left as it is",
        )
    return str(found)


def quick_check(connection: Connection, place: Place) -> None:
    """Let SQLite look over its pages; UserError when they are damaged."""
    problem = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    if problem != "ok":
        raise UserError(
            f"The design tree {place.shown} is damaged ({str(problem).splitlines()[-1]}).",
            hint=f"it was left as it is; restore a copy, or save what is readable with "
            f"`sqlite3 {place.shown} .recover | sqlite3 NEW` and open NEW",
            exit_code=EXIT_FAILED,
        )


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


def stamp(connection: Connection, revision: str) -> None:
    """Write the schema revision where alembic looks for it."""
    connection.execute(
        text(
            f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, "
            f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(
        text(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES (:revision)"), {"revision": revision}
    )

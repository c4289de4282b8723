"""Connecting to a tree: where it is, the rules of every connection, and which schema is found there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from model_discovery.design_tree.tables import REVISIONS
from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.strict_json import dump_json

BUSY_SECONDS = 20.0
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

"""Bring a tree of an older release up to this one: copy first, then all steps in one transaction."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from model_discovery.design_tree.connecting import Place, make_engine, quick_check, read_revision
from model_discovery.design_tree.tables import REVISIONS
from model_discovery.errors import EXIT_FAILED, UserError


@dataclass(frozen=True)
class Migrations:
    """The chain of schema revisions, oldest first, and the folder with alembic's scripts for them."""

    revisions: Sequence[str] = REVISIONS
    folder: Path = Path(__file__).parent / "migrations"


def upgrade(place: Place, found: str, migrations: Migrations | None = None) -> Path | None:
    """Upgrade the database at ``place`` from the revision ``found``.

    Returns
    -------
    The copy that was made before, None for a server's database (back it up as you do its others).
    """
    migrations = migrations or Migrations()
    copy = back_up(place.file, found) if place.file is not None else None
    # SQLite changes a table by making it anew; foreign keys are checked once at the end instead.
    engine = make_engine(place, foreign_keys=False)
    try:
        with engine.begin() as connection:
            # Another process may have been first.
            if read_revision(connection, place, tuple(migrations.revisions)) != migrations.revisions[-1]:
                run_migrations(connection, migrations)
                _check_foreign_keys(connection, place)
    finally:
        engine.dispose()
    return copy


def run_migrations(connection: Connection, migrations: Migrations) -> None:
    """Run alembic's steps inside the caller's transaction; loading alembic takes 0.2 s."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations.folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, migrations.revisions[-1])


def back_up(file: Path, revision: str) -> Path:
    """A consistent copy beside the file, named after its revision; an earlier copy is never overwritten."""
    target = _free_name(file, revision)
    partial = target.with_name(target.name + ".partial")
    try:
        source, copy = sqlite3.connect(file), sqlite3.connect(partial)
        try:
            source.backup(copy)
            # One plain file: the copy needs no -wal beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
        finally:
            source.close()
            copy.close()
        partial.rename(target)
    except (sqlite3.Error, OSError) as error:
        partial.unlink(missing_ok=True)
        raise UserError(
            f"Cannot copy {file} to {target} before its upgrade: {error}.",
            hint="free some space in that folder, or make it writable; the file was left as it is",
            exit_code=EXIT_FAILED,
        ) from error
    return target


def _free_name(file: Path, revision: str) -> Path:
    name = f"{file.name}.{revision}"
    target, number = file.with_name(f"{name}.backup"), 1
    while target.exists():
        number += 1
        target = file.with_name(f"{name}.{number}.backup")
    return target


def _check_foreign_keys(connection: Connection, place: Place) -> None:
    if connection.dialect.name != "sqlite":
        return
    quick_check(connection, place)
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise UserError(
            f"The upgrade of {place.shown} would leave a row of '{broken[0]}' without its '{broken[2]}'.",
            hint="the file was left as it is; please report this with the file",
            exit_code=EXIT_FAILED,
        )

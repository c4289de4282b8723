"""Files of older releases: copied first, then brought up to this one, or left as they are."""

import shutil
import sqlite3
import stat
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from tree_makers import child, make_campaign

from model_discovery.design_tree import DesignTree, connecting
from model_discovery.design_tree.connecting import Place
from model_discovery.design_tree.tables import METADATA, REVISIONS
from model_discovery.design_tree.upgrade import Migrations, back_up, run_migrations, upgrade
from model_discovery.errors import UserError


def schema_of(path: Path) -> dict[str, object]:
    """Tables, columns, keys and indices of a database, as SQLite tells them."""
    with sqlite3.connect(path) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found: dict[str, object] = {}
        for name in names:
            indices = connection.execute(f"PRAGMA index_list({name})").fetchall()
            found[name] = (
                connection.execute(f"PRAGMA table_info({name})").fetchall(),
                sorted(connection.execute(f"PRAGMA foreign_key_list({name})").fetchall(), key=str),
                sorted(
                    (row[1:], connection.execute(f"PRAGMA index_info({row[1]})").fetchall())
                    for row in indices
                    if not row[1].startswith("sqlite_autoindex")
                ),
                sorted(
                    connection.execute(f"PRAGMA index_info({row[1]})").fetchall()
                    for row in indices
                    if row[1].startswith("sqlite_autoindex")
                ),
            )
    return found


def test_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    migrated = tmp_path / "migrated.db"
    engine = connecting.make_engine(Place.of(migrated))
    with engine.begin() as connection:
        run_migrations(connection, Migrations())
    DesignTree(tmp_path / "made.db").close()
    assert schema_of(migrated) == schema_of(tmp_path / "made.db")
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()
    with DesignTree(migrated) as tree:
        make_campaign(tree)


def test_every_script_is_in_the_list_of_revisions() -> None:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Migrations().folder))
    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == REVISIONS


NEXT = '''"""A step for the tests."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("design", recreate="always") as batch:
        batch.add_column(sa.Column("rating", sa.Float, nullable=True))
    op.execute({statement!r})
'''


def next_release(folder: Path, statement: str = "UPDATE design SET rating = 1") -> Migrations:
    """The migrations of a release that has one step more."""
    shutil.copytree(Migrations().folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "v0002_rating.py").write_text(NEXT.replace("{statement!r}", repr(statement)))
    return Migrations((*REVISIONS, "0002"), folder)


def test_upgrade_keeps_a_copy_and_the_rows(file: Path, tmp_path: Path) -> None:
    with DesignTree(file) as tree:
        tree.add_design(1, child("x", ("retnet", "mixer")))
    before = schema_of(file)
    copy = upgrade(Place.of(file), "0001", next_release(tmp_path / "next"))
    assert copy is not None and copy.name == "tree.db.0001.backup"
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT name, rating FROM design").fetchall() == [("retnet", 1), ("x", 1)]
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0002",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert schema_of(copy) == before
    with DesignTree(copy) as tree:
        assert [row.name for row in tree.designs(1)] == ["retnet", "x"]
    # Once more, by a process that looked before the first one had finished: nothing to do, no copy is lost.
    again = upgrade(Place.of(file), "0001", next_release(tmp_path / "again"))
    assert again is not None and again.name == "tree.db.0001.2.backup"


def test_upgrade_that_fails_changes_nothing(file: Path, tmp_path: Path) -> None:
    broken = next_release(tmp_path / "next", statement="UPDATE no_such_table SET x = 1")
    before = schema_of(file)
    with pytest.raises(Exception, match="no_such_table"):
        upgrade(Place.of(file), "0001", broken)
    assert schema_of(file) == before
    with DesignTree(file) as tree:
        assert len(tree.designs(1)) == 1


def test_upgrade_that_would_break_a_reference_is_refused(file: Path, tmp_path: Path) -> None:
    broken = next_release(tmp_path / "next", statement="DELETE FROM campaign")
    with pytest.raises(UserError, match="without its 'campaign'"):
        upgrade(Place.of(file), "0001", broken)
    with DesignTree(file) as tree:
        assert tree.campaign("first")


def test_copy_that_cannot_be_made_stops_the_upgrade(file: Path) -> None:
    blocker = file.with_name("tree.db.0001.backup.partial")
    blocker.mkdir()
    with pytest.raises((UserError, OSError)):
        back_up(file, "0001")
    blocker.rmdir()
    target = back_up(file, "0001")
    assert stat.S_ISREG(target.stat().st_mode) and sorted(path.name for path in file.parent.iterdir()) == [
        "tree.db",
        "tree.db.0001.backup",
    ]
    with create_engine(f"sqlite:///{target}").connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"

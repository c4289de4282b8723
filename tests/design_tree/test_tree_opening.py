"""Opening a file: new, old, newer, foreign, damaged, locked, in a bad place. Nothing is ever lost."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event
from tree_makers import DECISION, child, make_campaign

from model_discovery.design_tree import DesignTree, connecting, opening
from model_discovery.design_tree.connecting import Place
from model_discovery.design_tree.tables import REVISIONS
from model_discovery.errors import UserError


def refused(path: Path | str, *, create: bool = True) -> str:
    """What opening says."""
    with pytest.raises(UserError) as error:
        DesignTree(path, create=create)
    assert error.value.hint and str(path) in error.value.message
    return error.value.message


# -- new files


def test_new_file_in_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "tree.db"
    with DesignTree(path) as tree:
        make_campaign(tree)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISIONS[-1],)]


def test_nothing_is_made_when_it_should_exist(tmp_path: Path) -> None:
    assert "There is no design tree" in refused(tmp_path / "x" / "tree.db", create=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty.db").touch()
    assert "is empty" in refused(tmp_path / "empty.db", create=False)
    DesignTree(tmp_path / "empty.db").close()


def test_rules_of_a_connection(file: Path) -> None:
    with DesignTree(file) as tree, tree.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("foreign_keys", "synchronous", "busy_timeout", "journal_mode")
        }
    assert pragmas == {"foreign_keys": 1, "synchronous": 1, "busy_timeout": 20000, "journal_mode": "wal"}


def test_in_memory_and_bad_locations() -> None:
    with DesignTree("sqlite://") as tree:
        make_campaign(tree)
        assert len(tree.campaigns()) == 1
    with pytest.raises(UserError, match="no database URL"):
        DesignTree("://x")
    with pytest.raises(UserError, match="No driver"):
        DesignTree("nosuchdatabase://host/name")
    with pytest.raises(UserError, match="empty"):
        DesignTree(" ")


def test_password_is_never_shown() -> None:
    place = Place.of("postgresql+psycopg://me:secret@host/name")
    assert "secret" not in place.shown and "host" in place.shown


def test_many_processes_may_create_it(tmp_path: Path) -> None:
    code = "import sys; from model_discovery.design_tree import DesignTree; DesignTree(sys.argv[1]).close()"
    path = str(tmp_path / "tree.db")
    started = [subprocess.Popen([sys.executable, "-c", code, path], stderr=subprocess.PIPE) for _ in range(4)]
    assert [process.communicate()[1] for process in started] == [b""] * 4


# -- opening is quick


def test_opening_loads_no_alembic_and_no_torch(file: Path) -> None:
    code = (
        "import sys, time; from model_discovery.design_tree import DesignTree\n"
        f"tree = DesignTree({str(file)!r}); tree.campaign('first')\n"
        f"DesignTree({str(file.with_name('new.db'))!r}).close()\n"
        "print(sorted({'alembic', 'torch', 'networkx', 'filelock'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_importing_the_room_loads_no_database() -> None:
    code = (
        "import sys, model_discovery.design_tree\n"
        "print(sorted({'sqlalchemy', 'sqlmodel', 'networkx', 'pydantic'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_opening_again_takes_milliseconds(file: Path) -> None:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        DesignTree(file).close()
        times.append(time.perf_counter() - began)
    assert min(times) < 0.1


# -- files that are no tree of ours


def test_not_a_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes, which nobody must touch\n" * 100)
    before = path.read_bytes()
    assert "no SQLite database" in refused(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    assert "is a folder" in refused(tmp_path)


def test_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    before = path.read_bytes()
    assert "another program (its tables: bookmarks)" in refused(path)
    assert path.read_bytes() == before


def test_tree_of_a_newer_release(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = file.read_bytes()
    assert "newer release (its schema is 9999" in refused(file)
    assert file.read_bytes() == before


def damage(file: Path, begin: int, end: int) -> bytes:
    """Overwrite bytes of a file; its content after that."""
    content = bytearray(file.read_bytes())
    content[begin:end] = b"\xa5" * (min(end, len(content)) - begin)
    file.write_bytes(content)
    return bytes(content)


@pytest.mark.parametrize(
    ("begin", "end"), [(0, 16), (100, 600), (1000, 4096), (4096, 8192), (8192, 16384), (18, 40)]
)
def test_damaged_file_is_reported_and_left(file: Path, begin: int, end: int) -> None:
    content = damage(file, begin, end)
    message = refused(file)
    assert "damaged" in message or "newer" in message or "another program" in message
    assert file.read_bytes() == content


def test_cut_off_file(file: Path) -> None:
    content = file.read_bytes()
    for size in (50, 5000, len(content) // 2, len(content) - 4096):
        file.write_bytes(content[:size])
        assert "damaged" in refused(file)
        assert file.read_bytes() == content[:size]


def test_damage_in_a_large_file_is_reported_when_it_is_met(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DesignTree(file) as tree:
        for number in range(300):
            tree.add_design(1, child(f"design {number}", unit_tree={"source": "x" * 500}))
    monkeypatch.setattr(opening, "QUICK_CHECK_BYTES", 1000)
    with sqlite3.connect(file) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'design'").fetchone()
    damage(file, (root - 1) * 4096, root * 4096)
    with DesignTree(file) as tree, pytest.raises(UserError, match="is damaged") as error:
        tree.designs(1)
    assert ".recover" in error.value.hint and str(file) in error.value.hint


# -- places where it cannot be written


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def as_nobody(file: Path) -> str:
    """What a user without rights is told."""
    DesignTree("sqlite://").close()  # whatever is loaded late is loaded now
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with DesignTree(file) as tree:
            tree.record_event(1, "note", {})
        return "written"
    except UserError as error:
        return f"{error.message} {error.hint}"
    finally:
        if root:
            os.seteuid(0)


def test_read_only_places(file: Path, open_folder: Path) -> None:
    path = open_folder / "tree.db"
    shutil.copy(file, path)
    path.chmod(0o444)
    content = path.read_bytes()
    told = as_nobody(path)
    assert "Permission denied" in told and "folder must be writable" in told and "--db" in told
    path.chmod(0o666)
    open_folder.chmod(0o555)
    assert "its folder cannot be written" in as_nobody(path)
    assert "its folder cannot be written" in as_nobody(open_folder / "new.db")
    assert "Permission denied" in as_nobody(open_folder / "new" / "tree.db")
    assert path.read_bytes() == content and list(open_folder.iterdir()) == [path]
    open_folder.chmod(0o777)
    assert as_nobody(path) == "written"


def test_file_that_becomes_read_only_while_it_is_open(file: Path) -> None:
    with DesignTree(file) as tree, pytest.raises(UserError, match="cannot be written") as error:
        event.listen(tree.engine, "begin", lambda c: c.exec_driver_sql("PRAGMA query_only = ON"))
        tree.record_event(1, "note", {})
    assert "change the permissions" in error.value.hint


def test_full_disk_keeps_what_was_recorded(file: Path) -> None:
    """SQLite's own limit of pages gives the error of a full disk, at the same places."""
    with DesignTree(file) as tree:
        campaign = tree.campaign("first")

        def no_growth(connection: sqlite3.Connection, *_: object) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages + 20}")

        tree.engine.dispose()
        event.listen(tree.engine, "connect", no_growth)
        recorded = 0
        with pytest.raises(UserError, match="the disk is full") as error:
            for number in range(1000):
                job = tree.submit_job(campaign.id, "design", {"x": "y" * 2000}, DECISION)
                tree.finish_job(job.id, state="done", result={}, error="", seconds=0)
                tree.apply_job(job.id, design=child(f"d{number}"), event=("designed", {}))
                recorded += 1
        assert "free some space" in error.value.hint and error.value.exit_code == 1
        assert recorded > 0
    with DesignTree(file) as tree:  # space was freed
        assert len(tree.designs(campaign.id)) == 1 + recorded == 1 + len(tree.events(campaign.id))
        tree.record_event(campaign.id, "note", {})


FILE_LIMIT = """
import resource, sys
from model_discovery.design_tree import DesignTree, NewDesign
from model_discovery.errors import UserError
tree = DesignTree(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    for number in range(1000):
        payload = {"x": "y" * 3000}
        tree.add_design(1, NewDesign(f"d{number}", "genetic", None, "valid", None, payload, f"h{number}"))
        print(number, flush=True)
except UserError as error:
    print(error.message)
"""


def test_write_that_the_system_refuses(file: Path) -> None:
    lines = subprocess.check_output([sys.executable, "-c", FILE_LIMIT, str(file)], text=True).splitlines()
    assert "could not be read or written" in lines[-1] or "disk is full" in lines[-1]
    with DesignTree(file) as tree:
        assert len(tree.designs(1)) == 1 + len(lines) - 1


def test_locked_by_another_program(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(file, isolation_level=None)
    with DesignTree(file) as tree:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError, match="locked by another program"):
            tree.record_event(1, "note", {})
        assert len(tree.designs(1)) == 1  # reading goes on
        other.execute("ROLLBACK")
        tree.record_event(1, "note", {})
    other.close()


def test_nobody_else_may_be_needed_to_read_a_file_left_by_a_kill(file: Path, tmp_path: Path) -> None:
    """A file whose last changes are still in its -wal opens with them."""
    with DesignTree(file) as tree:
        tree.record_event(1, "note", {})
        copy = tmp_path / "copy.db"
        for suffix in ("", "-wal"):
            shutil.copy(f"{file}{suffix}", f"{copy}{suffix}")
    with DesignTree(copy) as tree:
        assert len(tree.events(1)) == 1

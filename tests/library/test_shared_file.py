"""The file of a library between processes and threads: who comes at a bad moment waits and is told no lie."""

import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from model_discovery.errors import UserError
from model_discovery.library.store import Store


def test_a_new_library_that_another_process_makes_at_the_same_moment(tmp_path: Path) -> None:
    """SQLite says at once that the file is locked, in spite of its timeout."""
    other = sqlite3.connect(tmp_path / "library.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.2, other.execute, ["ROLLBACK"])
    done.start()
    store = Store(tmp_path / "library.db")
    done.join()
    assert store.rows("PRAGMA journal_mode") == [("wal",)]
    store.close()
    other.close()


def test_an_interrupt_while_a_transaction_begins_leaves_none_open(tmp_path: Path) -> None:
    """Ctrl-C while another process writes: Python hears of it when SQLite has got its turn."""
    store, other = Store(tmp_path / "library.db"), Store(tmp_path / "library.db")
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    waits = threading.Event()
    written: list[str] = []

    def hold() -> None:
        writer = sqlite3.connect(tmp_path / "library.db", isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        waits.set()
        time.sleep(0.3)
        writer.execute("ROLLBACK")
        writer.close()

    holder = threading.Thread(target=hold)
    holder.start()
    waits.wait()
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt), store.writing():
            written.append("inside")
    finally:
        signal.signal(signal.SIGALRM, before)
        holder.join()
    assert not written
    with other.writing():
        other.set_fact("other", 1)
    with store.writing():
        store.set_fact("same", 1)
    assert (store.fact("other"), other.fact("same")) == (1, 1)
    for one in (store, other):
        one.close()


def test_another_thread_is_no_damage(tmp_path: Path) -> None:
    store = Store(tmp_path / "library.db")
    said: list[Exception] = []

    def ask() -> None:
        try:
            store.fact("epoch")
        except (UserError, sqlite3.Error) as error:
            said.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    [error] = said
    assert isinstance(error, sqlite3.ProgrammingError) and "thread" in str(error)
    store.close()

"""One process a campaign: a lock file beside the database, or a lock of the server."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Engine, text

from model_discovery.design_tree.connecting import Place
from model_discovery.errors import EXIT_FAILED, UserError


@contextmanager
def campaign_lock(engine: Engine, place: Place, name: str) -> Iterator[None]:
    """Hold the campaign ``name`` of the database at ``place`` until the block ends or the process does."""
    if place.file is not None:
        with _file_lock(place.file, name):
            yield
    elif place.url.get_backend_name() == "postgresql":
        with _server_lock(engine, place, name):
            yield
    else:
        yield  # in memory: no other process can see it


@contextmanager
def _file_lock(database: Path, name: str) -> Iterator[None]:
    from filelock import FileLock, Timeout

    path = database.with_name(f"{database.name}.{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.lock")
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"The campaign '{name}' is in use by {_holder(path)} (it holds {path}).",
            hint="wait for it, stop it with Ctrl-C, or start a campaign of another name",
            exit_code=EXIT_FAILED,
        ) from None
    except OSError as error:
        raise UserError(
            f"Cannot make the lock file {path}: {error.strerror}.",
            hint="the folder of the design tree must be writable; choose another with --db",
            exit_code=EXIT_FAILED,
        ) from None
    try:
        # Only words for the next one who asks; the lock itself is the kernel's and ends with this process.
        _say_who(path)
        yield
    finally:
        lock.release()


def _say_who(path: Path) -> None:
    try:
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
    except OSError:  # a full disk is no reason not to look at a campaign
        return


def _holder(path: Path) -> str:
    try:
        return path.read_text().strip() or "another process"
    except (OSError, UnicodeDecodeError):
        return "another process"


@contextmanager
def _server_lock(engine: Engine, place: Place, name: str) -> Iterator[None]:
    key = int.from_bytes(sha256(f"model_discovery {name}".encode()).digest()[:8], "big", signed=True)
    with engine.connect() as connection:
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar():
            raise UserError(
                f"The campaign '{name}' in {place.shown} is in use by another process.",
                hint="wait for it, stop it with Ctrl-C, or start a campaign of another name",
                exit_code=EXIT_FAILED,
            )
        connection.commit()
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
            connection.commit()

"""Errors of the tree, and what to say when the database says no."""

import sqlite3

from model_discovery.errors import EXIT_FAILED, UserError


class DuplicateDesign(UserError):
    """The campaign has this name or structure already; ``existing`` names the design that holds it."""

    def __init__(self, name: str, existing: str, *, same: str) -> None:
        super().__init__(f"Design '{name}' is not new: '{existing}' has the same {same}.")
        self.name = name
        self.existing = existing


class DuplicateVerification(UserError):
    """The design has a verification with this scale, recipe and seed already: it would be counted twice."""


class TreeStateError(RuntimeError):
    """A caller asked for a change that the state of the tree forbids; nothing was changed."""


class InvalidTransition(TreeStateError):
    """A status or a job's state may not follow the one it has."""


class AlreadyApplied(TreeStateError):
    """The job's result is in the tree already."""


class UnknownRow(TreeStateError):
    """No row has this id."""


_REMEDIES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("SQLITE_FULL",),
        "cannot grow: the disk is full, or a quota is reached",
        "free some space and run the same command again; everything recorded before is kept",
    ),
    (
        ("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_CANTOPEN", "SQLITE_AUTH"),
        "cannot be written",
        "the file and its folder must be writable (SQLite keeps a -wal and a -shm file beside it): "
        "change the permissions, or choose another place with --db",
    ),
    (
        ("SQLITE_BUSY", "SQLITE_LOCKED"),
        "is locked by another program",
        "close the other program (a database browser, a backup, a second run) and try again",
    ),
    (
        ("SQLITE_CORRUPT", "SQLITE_NOTADB"),
        "is damaged",
        "it was left as it is; restore a copy, or save what is readable with "
        "`sqlite3 FILE .recover | sqlite3 NEW` and open NEW",
    ),
    (
        ("SQLITE_IOERR", "SQLITE_NOLFS", "SQLITE_TOOBIG"),
        "could not be read or written",
        "look at the disk (full, quota, file size limit, a network folder that went away), then try again; "
        "everything recorded before is kept",
    ),
)


def explain(error: BaseException | None, place: str) -> UserError | None:
    """The error for people behind a driver's error, or None when it is not about the file or the server.

    Parameters
    ----------
    error
        What the database driver raised (``orig`` of an SQLAlchemy error).
    place
        The file, or the URL without its password.
    """
    if not isinstance(error, sqlite3.Error):
        if type(error).__name__ != "OperationalError":  # every driver has a class of this name for it
            return None
        return UserError(
            f"The database {place} cannot be used: {' '.join(str(error).split())}.",
            hint="is the server running, and are the address, the user and the password right?",
            exit_code=EXIT_FAILED,
        )
    name = getattr(error, "sqlite_errorname", "") or ""
    for prefixes, what, hint in _REMEDIES:
        if name.startswith(prefixes):
            hint = hint.replace("FILE", place)
            return UserError(f"The design tree {place} {what} ({error}).", hint=hint, exit_code=EXIT_FAILED)
    return None


def clean(text: str) -> str:
    """Text any database takes: no NUL, no half of a surrogate pair; output of strange programs has both."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")

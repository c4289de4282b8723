"""When sessions were at work, in the ledger's file: limits in minutes count this, and no pause between.

A sitting begins when a process takes a session up and lasts until it was last seen asking or ending. What a
kill cut off after that does not count.
"""

import sqlite3
from collections.abc import Sequence

SCHEMA = """
CREATE TABLE IF NOT EXISTS sitting (
    id INTEGER PRIMARY KEY, campaign TEXT NOT NULL, session TEXT NOT NULL, began REAL NOT NULL,
    seen REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS sitting_session ON sitting (campaign, session);
"""

FROM_REQUESTS = """
INSERT INTO sitting (campaign, session, began, seen)
SELECT campaign, session, MIN(created), MAX(COALESCE(ended, created)) FROM request GROUP BY campaign, session;
"""
"""Fills the table of a ledger that had none: each session as one sitting."""


def begin(db: sqlite3.Connection, campaign: str, session: str, now: float) -> None:
    """A process takes a session up."""
    db.execute(
        "INSERT INTO sitting (campaign, session, began, seen) VALUES (?, ?, ?, ?)",
        (campaign, session, now, now),
    )


def see(db: sqlite3.Connection, campaign: str, session: str, now: float) -> None:
    """A session is at work still; one that nobody began begins."""
    latest = "SELECT MAX(id) FROM sitting WHERE campaign = ? AND session = ?"
    found = db.execute(f"UPDATE sitting SET seen = ? WHERE id = ({latest})", (now, campaign, session))
    if not found.rowcount:
        begin(db, campaign, session, now)


def minutes(db: sqlite3.Connection, where: str, values: Sequence[str], since: float) -> float:
    """Minutes after ``since`` in which at least one of the sittings that ``where`` chooses went on."""
    found = db.execute(f"SELECT began, seen FROM sitting WHERE {where} ORDER BY began", values)
    total, until = 0.0, since
    for began, seen in found:
        total += max(0.0, seen - max(began, until))
        until = max(until, seen)
    return total / 60

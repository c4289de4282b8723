"""The ledger of a campaign: a row a request to a model, and no request that could break a limit.

Before a request is sent, the most it can cost is reserved; afterwards its row is settled at what it did cost.
A limit holds for what is spent plus what is reserved, in one transaction, over all processes that share the
file. So a limit is never broken by requests in parallel. A request is refused while others hold reservations
that leave no room for its bound; since these mostly turn out cheaper, the refusal says that it may pass.
"""

import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from threading import Lock
from typing import Any

from model_discovery.config.agents import SpendingLimits
from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.llm import sittings
from model_discovery.llm.bounds import Bound, CallFacts, Used, check_bound, hold
from model_discovery.llm.types import Usage
from model_discovery.sqlite import transaction, use_wal

RESERVED, INTERRUPTED = "reserved", "interrupted"
_BUSY_SECONDS = 30.0
_VERSION = 2
_WINDOW = 60.0

# Which rows count against a limit, by its scope; the limits of a call look at its own bound only.
_SCOPES = {
    "campaign": ("campaign",),
    "session": ("campaign", "session"),
    "role": ("campaign", "session", "role"),
}
_GROUPS = ("campaign", "session", "role", "step", "model", "outcome")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS request (
    id INTEGER PRIMARY KEY, campaign TEXT NOT NULL, session TEXT NOT NULL, role TEXT NOT NULL,
    step TEXT NOT NULL, model TEXT NOT NULL, outcome TEXT NOT NULL, created REAL NOT NULL, ended REAL,
    input_tokens INTEGER, output_tokens INTEGER, cached_tokens INTEGER, dollars REAL, seconds REAL,
    request_id TEXT NOT NULL DEFAULT '',
    bound_input INTEGER NOT NULL, bound_output INTEGER NOT NULL, bound_dollars REAL
);
CREATE INDEX IF NOT EXISTS request_session ON request (campaign, session);
CREATE TABLE IF NOT EXISTS sent (model TEXT NOT NULL, time REAL NOT NULL, tokens INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS sent_model ON sent (model, time);
"""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Leave to send one request."""

    id: int
    call: CallFacts
    bound: Bound


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One request. What it cost is None until it is settled; ``dollars`` stays None without a price.

    ``outcome`` is ``reserved``, ``interrupted`` (its process ended before the answer; it may have been
    billed) or what the client settled it with. Times are seconds since the epoch.
    """

    id: int
    campaign: str
    session: str
    role: str
    step: str
    model: str
    outcome: str
    created: float
    ended: float | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    dollars: float | None
    seconds: float | None
    request_id: str
    bound_input: int
    bound_output: int
    bound_dollars: float | None


@dataclass(frozen=True, slots=True)
class Total:
    """A sum of rows.

    ``paid`` requests took tokens. ``dollars`` is the sum of what is known, None where nothing is;
    ``unpriced_tokens`` are those without a price. ``unsettled`` rows are reserved or interrupted: they count
    against limits with their bounds, ``unsettled_tokens`` and ``unsettled_dollars``.
    """

    by: Mapping[str, str]
    requests: int
    paid: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    dollars: float | None
    unpriced_tokens: int
    seconds: float
    unsettled: int
    unsettled_tokens: int
    unsettled_dollars: float


class Ledger:
    """The requests of a campaign, in one SQLite file that its processes share.

    Threads may share a ledger; a process opens its own.

    Parameters
    ----------
    path
        The file; made when it is not there. ``None``: in memory, for one process.
    clock
        Seconds since the epoch.
    """

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._lock = Lock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._errors():
            self._db = sqlite3.connect(
                path or ":memory:", timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._open()

    def close(self) -> None:
        """Close the file; what was reserved stays reserved."""
        with self._lock:
            self._db.close()

    def begin(self, campaign: str, session: str) -> int:
        """Open a session: what an earlier, killed run of it left reserved is interrupted. Returns how many.

        Interrupted requests stay counted with their bounds, since they may have been billed.
        """
        with self._write() as db:
            sittings.begin(db, campaign, session, self._clock())
            return db.execute(
                "UPDATE request SET outcome = ? WHERE campaign = ? AND session = ? AND outcome = ?",
                (INTERRUPTED, campaign, session, RESERVED),
            ).rowcount

    def end(self, campaign: str, session: str) -> None:
        """A session is left: until now it was at work, which limits in minutes count."""
        with self._write() as db:
            sittings.see(db, campaign, session, self._clock())

    def reserve(self, call: CallFacts, bound: Bound, limits: Mapping[str, SpendingLimits]) -> Reservation:
        """Reserve the bound of one request, or refuse it.

        Parameters
        ----------
        limits
            By scope: ``call`` (this request alone: dollars and tokens), ``role`` (of this session),
            ``session``, ``campaign``. A limit on calls counts requests, repairs and retries included.
            Minutes are those since the first row of the scope in which one of its sessions was at work.

        Raises
        ------
        LimitReached
            With this bound, what is spent and reserved would break a limit.
        ModelUnavailable
            There is a limit in dollars and no price.
        """
        check_bound(bound)
        for scope in limits:
            if scope != "call" and scope not in _SCOPES:
                raise ValueError(f"no scope {scope!r}")
        with self._write() as db:
            now = self._clock()
            sittings.see(db, call.campaign, call.session, now)
            for scope, limit in limits.items():
                hold(scope, limit, call, bound, self._used(db, scope, call, limit))
            done = db.execute(
                "INSERT INTO request (campaign, session, role, step, model, outcome, created,"
                " bound_input, bound_output, bound_dollars) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (call.campaign, call.session, call.role, call.step, call.model, RESERVED, now,
                 bound.input_tokens, bound.output_tokens, bound.dollars),
            )  # fmt: skip
            assert done.lastrowid is not None
            return Reservation(done.lastrowid, call, bound)

    def settle(
        self,
        reservation: Reservation,
        *,
        usage: Usage,
        dollars: float | None,
        seconds: float,
        outcome: str,
        request_id: str = "",
    ) -> None:
        """Keep what a request did cost, also where that is more than was reserved."""
        if outcome in (RESERVED, INTERRUPTED, ""):
            raise ValueError(f"a request is not settled as {outcome!r}")
        for number in (usage.input, usage.output, usage.cached, seconds, dollars or 0.0):
            if not math.isfinite(number) or number < 0:
                raise ValueError(f"no cost: {number!r} in {usage}, {dollars} dollars, {seconds} seconds")
        with self._write() as db:
            db.execute(
                "UPDATE request SET outcome = ?, ended = ?, input_tokens = ?, output_tokens = ?,"
                " cached_tokens = ?, dollars = ?, seconds = ?, request_id = ? WHERE id = ?",
                (outcome, self._clock(), usage.input, usage.output, usage.cached, dollars, seconds,
                 request_id, reservation.id),
            )  # fmt: skip

    def pace(
        self, model: str, tokens: int, requests_per_minute: int | None, tokens_per_minute: int | None
    ) -> float:
        """Seconds to wait before asking again whether a request may be sent; 0: it may, and is counted.

        In no minute are more requests let through, or more tokens, by all processes together. A request with
        more tokens than a minute's goes when the minute before it was empty.
        """
        if requests_per_minute is None and tokens_per_minute is None:
            return 0.0
        with self._write() as db:
            now = self._clock()
            db.execute("DELETE FROM sent WHERE model = ? AND time <= ?", (model, now - _WINDOW))
            sent = db.execute(
                "SELECT time, tokens FROM sent WHERE model = ? ORDER BY time DESC, rowid DESC", (model,)
            ).fetchall()
            requests, total = 1, tokens
            for then, amount in sent:
                requests, total = requests + 1, total + amount
                over = requests > (requests_per_minute or math.inf) or total > (tokens_per_minute or math.inf)
                if over:  # until this one and all before it are a minute old
                    return float(min(max(then + _WINDOW - now, 1e-3), _WINDOW))
            db.execute("INSERT INTO sent VALUES (?, ?, ?)", (model, now, tokens))
            return 0.0

    def rows(self, *, session: str | None = None) -> list[LedgerRow]:
        """The requests in the order of their reservation, of one session or of all."""
        columns = ", ".join(field.name for field in fields(LedgerRow))
        where, values = ("", ()) if session is None else (" WHERE session = ?", (session,))
        found = self._read(f"SELECT {columns} FROM request{where} ORDER BY id", values)
        return [LedgerRow(*row) for row in found]

    def totals(self, by: Sequence[str] = ()) -> list[Total]:
        """Sums of rows, one for each value of the columns in ``by``, in their order; one of all without."""
        for column in by:
            if column not in _GROUPS:
                raise ValueError(f"no sums by {column!r}; by {', '.join(_GROUPS)}")
        names = ", ".join(by)
        paid = "input_tokens + output_tokens > 0"
        open_ = f"outcome IN ('{RESERVED}', '{INTERRUPTED}')"
        found = self._read(
            f"SELECT {names + ', ' if by else ''}COUNT(*), COUNT(*) FILTER (WHERE {paid}),"
            " COALESCE(SUM(input_tokens), 0), COALESCE(SUM(output_tokens), 0),"
            f" COALESCE(SUM(cached_tokens), 0), SUM(dollars),"
            " COALESCE(SUM(input_tokens + output_tokens) FILTER (WHERE dollars IS NULL), 0),"
            f" COALESCE(SUM(seconds), 0.0), COUNT(*) FILTER (WHERE {open_}),"
            f" COALESCE(SUM(bound_input + bound_output) FILTER (WHERE {open_}), 0),"
            f" COALESCE(SUM(bound_dollars) FILTER (WHERE {open_}), 0.0) FROM request"
            + (f" GROUP BY {names} ORDER BY {names}" if by else ""),
        )
        return [Total(dict(zip(by, row, strict=False)), *row[len(by) :]) for row in found]

    def _used(self, db: sqlite3.Connection, scope: str, call: CallFacts, limit: SpendingLimits) -> Used:
        if scope == "call":
            return Used(0, 0, 0.0, 0.0)
        columns = _SCOPES[scope]
        values = [getattr(call, column) for column in columns]
        row = db.execute(
            "SELECT COUNT(*),"
            " COALESCE(SUM(COALESCE(input_tokens + output_tokens, bound_input + bound_output)), 0),"
            " COALESCE(SUM(COALESCE(dollars, bound_dollars)), 0.0), MIN(created),"
            f" COALESCE(SUM(bound_input + bound_output) FILTER (WHERE outcome = '{RESERVED}'), 0),"
            f" COALESCE(SUM(bound_dollars) FILTER (WHERE outcome = '{RESERVED}'), 0.0)"
            f" FROM request WHERE {' AND '.join(f'{column} = ?' for column in columns)}",
            values,
        ).fetchone()
        minutes = 0.0
        if limit.minutes is not None and row[3] is not None:
            held = columns[:2]  # a role is at work while its session is
            where = " AND ".join(f"{column} = ?" for column in held)
            minutes = sittings.minutes(db, where, values[: len(held)], since=row[3])
        return Used(row[0], row[1], row[2], minutes, row[4], row[5])

    def _open(self) -> None:
        use_wal(self._db, _BUSY_SECONDS)
        self._db.execute("PRAGMA synchronous = NORMAL")
        version = self._version()
        if version not in range(_VERSION + 1):
            raise UserError(
                f"The ledger {self.path} was written by another version of the program ({version}, "
                f"this one knows {_VERSION}).",
                hint="resume the campaign with the version that began it",
            )
        if version < _VERSION:
            with transaction(self._db):
                if self._version() < _VERSION:  # nobody was quicker
                    made = f"{_SCHEMA} {sittings.SCHEMA} {sittings.FROM_REQUESTS}"
                    for statement in made.split(";"):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version = {_VERSION}")

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._errors(), transaction(self._db):
            yield self._db

    def _read(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock, self._errors():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise UserError(
                f"The ledger {self.path or 'in memory'} cannot be used: {error}.",
                hint="is it a ledger, and the disk writable and not full?",
                exit_code=EXIT_FAILED,
            ) from error

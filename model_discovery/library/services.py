"""Asking services on the web: politely, with answers kept on disk, not waiting for one that is down."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from model_discovery.errors import EXIT_FAILED, UserError

Answer = TypeVar("Answer")

FRESH = 7 * 86_400.0  # seconds for which an answer is good
DOWN = 300.0  # seconds for which a service that was down is not asked
_TRIES = 3
_PAUSE = 1.0  # seconds before the second try, twice that before the third
_LONGEST_WAIT = 20.0  # seconds to wait on a service's word before a further try
_MOST_BYTES = 64 << 20


class ServiceDown(UserError):
    """A service gave no answer of use; ``message`` says which and why."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint="try again later", exit_code=EXIT_FAILED)


class NotThere(LookupError):
    """The service answers that it has no such thing."""


class _TryAgain(Exception):
    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Answers:
    """What services answered, when each was last asked, and which were down: one SQLite file for all
    processes that use the library.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str, fresh: float) -> bytes | None:
        """An answer not older than ``fresh`` seconds."""
        with self._open() as db:
            row = db.execute("SELECT body, time FROM answers WHERE key = ?", (key,)).fetchone()
        return bytes(row[0]) if row and time.time() - row[1] <= fresh else None

    def put(self, key: str, body: bytes) -> None:
        """Keep an answer."""
        with self._open() as db:
            db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (key, body, time.time()))

    def turn(self, service: str, interval: float) -> float:
        """Take the next turn to ask; returns seconds until then."""
        with self._open() as db:
            now = time.time()
            row = db.execute("SELECT next FROM services WHERE name = ?", (service,)).fetchone()
            begin = min(max(now, row[0] if row else now), now + 20 * interval)
            db.execute(
                "INSERT INTO services (name, next) VALUES (?, ?) "
                "ON CONFLICT DO UPDATE SET next = excluded.next",
                (service, begin + interval),
            )
        return begin - now

    def why_down(self, service: str) -> str:
        """Why a service is not asked just now; ``""`` when it may be."""
        with self._open() as db:
            row = db.execute("SELECT why, until FROM services WHERE name = ?", (service,)).fetchone()
        return str(row[0]) if row and time.time() < row[1] else ""

    def set_down(self, service: str, why: str, seconds: float) -> None:
        """Leave a service alone for a while; 0 seconds: it answers again."""
        with self._open() as db:
            db.execute(
                "INSERT INTO services (name, why, until) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET why = excluded.why, until = excluded.until",
                (service, why, time.time() + seconds),
            )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction of its own: short, and safe between processes and threads."""
        db = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._path, timeout=30, isolation_level=None)
            db.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, body BLOB, time REAL)")
            db.execute(
                "CREATE TABLE IF NOT EXISTS services "
                "(name TEXT PRIMARY KEY, next REAL DEFAULT 0, why TEXT DEFAULT '', until REAL DEFAULT 0)"
            )
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            hint = "delete it, or set LIBRARY_DIR: it only keeps answers of paper services"
            raise UserError(f"{self._path} cannot be used: {error}.", hint=hint) from None
        finally:
            if db is not None:
                db.close()


class Service:
    """A service on the web.

    Parameters
    ----------
    name
        As people are told.
    answers
        Where answers are kept.
    interval
        Seconds between two requests.
    timeout
        Seconds for one answer.
    """

    def __init__(self, name: str, answers: Answers, *, interval: float, timeout: float = 10.0) -> None:
        self.name = name
        self._answers = answers
        self._interval = interval
        self._timeout = timeout

    @cached_property
    def _client(self) -> Any:
        """One for all requests: making one reads all certificates of the system."""
        import httpx

        return httpx.Client()

    def ask(
        self, url: str, params: Mapping[str, str], read: Callable[[bytes], Answer], *,
        headers: Mapping[str, str] | None = None, post: object = None,
    ) -> Answer:  # fmt: skip
        """An answer, from disk or from the service; an old one when the service is down.

        Parameters
        ----------
        read
            Makes the answer of what was sent; a ValueError says that it is not what it should be.
        post
            Sent as JSON, where it is no plain question.

        Raises
        ------
        ServiceDown
            No answer of use.
        NotThere
            The service has no such thing.
        """
        key = json.dumps([url, sorted(params.items()), post])
        if kept := self._answers.get(key, FRESH):
            return read(kept)
        try:
            body = self.fetch(url, params, headers=headers, post=post)
            answer = self._read(body, read)
        except ServiceDown:
            if old := self._answers.get(key, float("inf")):
                return read(old)
            raise
        self._answers.put(key, body)
        return answer

    def fetch(
        self, url: str, params: Mapping[str, str] | None = None, *,
        headers: Mapping[str, str] | None = None, post: object = None,
    ) -> bytes:  # fmt: skip
        """What stands at an address; several tries, each in its turn. Raises as `ask`."""
        import tenacity

        if why := self._answers.why_down(self.name):
            raise ServiceDown(why)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgain),
            stop=tenacity.stop_after_attempt(_TRIES),
            wait=_wait,
            reraise=True,
        )
        try:
            body = retrying(self._once, url, dict(params or {}), dict(headers or {}), post)
        except _TryAgain as last:
            raise self._down(str(last), last.wait) from None
        self._answers.set_down(self.name, "", 0)
        return body

    def _once(self, url: str, params: dict[str, str], headers: dict[str, str], post: object) -> bytes:
        import httpx

        time.sleep(self._answers.turn(self.name, self._interval))
        try:
            with self._client.stream(
                "GET" if post is None else "POST", url, params=params, headers=headers, json=post,
                timeout=self._timeout, follow_redirects=not headers,  # a header may be a key
            ) as response:  # fmt: skip
                return self._body(response.status_code, response.headers, response.iter_bytes())
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._down(_brief(error)) from None  # no network, most likely: a further try costs time
        except httpx.TimeoutException:
            raise _TryAgain(f"no answer in {self._timeout:g} s") from None
        except (httpx.TransportError, httpx.TooManyRedirects) as error:
            raise _TryAgain(_brief(error)) from None
        except httpx.InvalidURL as error:
            raise ServiceDown(f"{self.name} has no address of use: {url} ({error})") from None

    def _body(self, status: int, headers: Mapping[str, str], chunks: Iterator[bytes]) -> bytes:
        if status == 429 or status >= 500:
            told = headers.get("retry-after", "")
            why = "too many requests" if status == 429 else f"status {status}"
            raise _TryAgain(why, float(told) if told.isdigit() else None)
        if status == 404:
            raise NotThere
        body, begun = b"", time.monotonic()
        for chunk in chunks:
            body += chunk
            if len(body) > _MOST_BYTES:
                raise ServiceDown(f"{self.name} sent more than {_MOST_BYTES >> 20} MiB")
            if time.monotonic() - begun > 10 * self._timeout:
                raise _TryAgain(f"no whole answer in {10 * self._timeout:g} s")
        if status != 200:
            said = " ".join(body[:200].decode("utf-8", "replace").split())
            raise ServiceDown(f"{self.name} refused the request: status {status}, {said}")
        return body

    def _down(self, why: str, seconds: float | None = None) -> ServiceDown:
        """Remember that the service is down, for as long as it says or for a while."""
        why = f"{self.name} is not reachable ({why})"
        self._answers.set_down(self.name, why, DOWN if seconds is None else min(seconds, DOWN))
        return ServiceDown(why)

    def _read(self, body: bytes, read: Callable[[bytes], Answer]) -> Answer:
        try:
            return read(body)
        except ValueError as error:
            raise ServiceDown(f"{self.name} sent an answer that cannot be read ({error})") from None


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__


def _wait(state: object) -> float:
    """Seconds before the next try: as told by the service, else longer each time."""
    outcome = state.outcome.exception()  # type: ignore[attr-defined]
    told = outcome.wait if isinstance(outcome, _TryAgain) else None
    if told is not None:
        return float(min(told, _LONGEST_WAIT))
    return _PAUSE * float(2 ** (state.attempt_number - 1))  # type: ignore[attr-defined]

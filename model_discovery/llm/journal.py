"""The log of a session: append-only JSONL of typed events, from which the session can be run again.

A session is a function of its request and of what the world answered: models, checks, searches. The journal
keeps those answers in order. A session that was killed runs again from its beginning: what the journal has
is taken from it, and nothing is asked or paid twice. The same file replays a session without any network.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from model_discovery.errors import EXIT_FAILED, UserError

Json = dict[str, Any]


class Event(BaseModel):
    """One line of a journal.

    ``n`` counts from 0; ``step`` is the path of the step it belongs to (``proposal 1/review``), ``parent``
    that of the step around it. ``key`` identifies what was asked, for events that answer something.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int
    kind: str
    session: str
    step: str = ""
    parent: str = ""
    time: float
    key: str = ""
    data: Json


class JournalMismatch(UserError):
    """A session that runs again does something else than its journal says."""


class Journal:
    """Keeps the events of one session in a file, and gives back those it has.

    Parameters
    ----------
    path
        The file; it may exist from an earlier, interrupted run. ``None`` keeps events in memory only.
    session
        Name of the session, in every event.
    mode
        ``resume``: what is not in the file is done and appended. ``replay``: it must be in the file, nothing
        is done and nothing written.
    clock
        Seconds since the epoch, for ``time``.
    """

    def __init__(
        self,
        path: Path | None,
        session: str = "",
        *,
        mode: Literal["resume", "replay"] = "resume",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.session = session
        self.mode = mode
        self._clock = clock
        self._steps: list[str] = []
        self._old = read_journal(path) if path is not None and path.exists() else []
        self._next = 0
        if mode == "replay" and not self._old:
            raise UserError(f"There is no journal {path} to replay.")

    @property
    def replaying(self) -> bool:
        """Whether the next event is one that the file has already."""
        return self._next < len(self._old)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Events inside belong to this step of the session."""
        self._steps.append(name)
        try:
            yield
        finally:
            self._steps.pop()

    def once(self, kind: str, key: Any, work: Callable[[], Json]) -> Json:
        """The answer to ``key``: from the file, or else ``work()``, which is kept before it is returned.

        Parameters
        ----------
        kind
            Of the event: ``llm_call``, ``check``, ``search``, ``limit``, …
        key
            Plain data that says what is asked. The same session asks the same things in the same order.
        work
            Asks. An exception keeps nothing.

        Raises
        ------
        JournalMismatch
            The file has another event here, or (in a replay) none.
        """
        digest = _digest(key)
        if (old := self._recall(kind, digest)) is not None:
            return old.data
        data = work()
        self._append(kind, digest, data)
        return data

    def note(self, kind: str, **data: Any) -> None:
        """Keep an event that answers nothing; where the file has it already, nothing is written."""
        if self._recall(kind, "") is None:
            self._append(kind, "", data)

    def _recall(self, kind: str, digest: str) -> Event | None:
        if not self.replaying:
            if self.mode == "replay":
                raise self._mismatch(f"goes on with {kind} where the journal ends")
            return None
        event = self._old[self._next]
        if event.kind != kind or event.step != "/".join(self._steps):
            raise self._mismatch(f"does {kind} in '{'/'.join(self._steps)}'", event)
        if event.key != digest:
            raise self._mismatch(f"asks something else in '{event.step}'", event)
        self._next += 1
        return event

    def _mismatch(self, what: str, event: Event | None = None) -> JournalMismatch:
        has = f", the journal has {event.kind} in '{event.step}'" if event else ""
        return JournalMismatch(
            f"{self.path}, event {self._next}: this run {what}{has}.",
            hint="prompts, agent specs, settings or the program have changed since it was written",
            exit_code=EXIT_FAILED,
        )

    def _append(self, kind: str, digest: str, data: Json) -> None:
        event = Event(
            n=self._next, kind=kind, session=self.session, step="/".join(self._steps),
            parent="/".join(self._steps[:-1]), time=self._clock(), key=digest, data=data,
        )  # fmt: skip
        self._old.append(event)
        self._next += 1
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(event.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())


def read_journal(path: Path) -> list[Event]:
    """The events of a file; a last line that a kill cut off is dropped from the file.

    Raises
    ------
    UserError
        Another line is not an event, or the file cannot be read.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    whole = raw[: raw.rfind(b"\n") + 1]
    if len(whole) < len(raw) and os.access(path, os.W_OK):
        os.truncate(path, len(whole))
    events = []
    for number, line in enumerate(whole.decode("utf-8").splitlines(), 1):
        try:
            events.append(Event.model_validate_json(line))
        except ValidationError as error:
            raise UserError(f"{path}, line {number} is not an event: {error.errors()[0]['msg']}.") from None
    return events


def _digest(key: Any) -> str:
    text = json.dumps(key, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def as_json(value: BaseModel | Mapping[str, Any]) -> Json:
    """Plain data of a model or mapping, as a journal keeps it."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else dict(value)

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

from pydantic import BaseModel, ConfigDict

from model_discovery.errors import EXIT_FAILED, UserError
from model_discovery.strict_json import dump_json

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

    Attributes
    ----------
    reworded
        Questions of a replay whose ``prompt``, and nothing else of their key, was another when they were
        recorded: losses that were measured again on another machine differ in their last digits.
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
        self._events: list[Event] = []
        self._next = 0
        self._working = ""
        self.reworded = 0
        if path is not None and path.exists():
            self._events, length = _read(path)
            if mode == "resume":
                _mend(path, length)
        if mode == "replay" and not self._events:
            raise UserError(f"There is no journal {path} to replay.")

    @property
    def replaying(self) -> bool:
        """Whether the next event is one that the file has already."""
        return self._next < len(self._events)

    @property
    def events(self) -> list[Event]:
        """The events of this run so far, recalled or new."""
        return self._events[: self._next]

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
            Asks, and uses the journal for nothing else. An exception keeps nothing.

        Returns
        -------
        Json
            As it is in the file, also the first time: a tuple is a list, a number as a key is a string.

        Raises
        ------
        JournalMismatch
            The file has another event here, or (in a replay) none.
        """
        digest = _digest(key)
        if (old := self._recall(kind, key, digest)) is not None:
            return old.data
        self._working = kind
        try:
            data = work()
        finally:
            self._working = ""
        return self._append(kind, digest, data).data

    def note(self, kind: str, **data: Any) -> None:
        """Keep an event that answers nothing; where the file has it already, nothing is written."""
        if self._recall(kind, None, "") is None:
            self._append(kind, "", data)

    def _recall(self, kind: str, key: Any, digest: str) -> Event | None:
        if self._working:
            raise RuntimeError(
                f"{kind} inside the work of {self._working}: they would be kept in the wrong order"
            )
        if not self.replaying:
            if self.mode == "replay":
                raise self._mismatch(f"goes on with {kind} where the journal ends")
            return None
        event = self._events[self._next]
        step = "/".join(self._steps)
        if event.kind != kind or event.step != step:
            raise self._mismatch(f"does {kind} in '{step}'", event)
        if event.key != digest:
            self._reword(key, event)
        self._next += 1
        return event

    def _reword(self, key: Any, event: Event) -> None:
        """Let a replay ask the same in other words; anything else is an error."""
        other = _other_parts(key, event.data)
        if self.mode != "replay" or other != ["prompt"]:
            parts = f" ({', '.join(other)})" if other else ""
            raise self._mismatch(f"asks something else in '{event.step}'{parts}", event)
        self.reworded += 1

    def _mismatch(self, what: str, event: Event | None = None) -> JournalMismatch:
        has = f", the journal has {event.kind} in '{event.step}'" if event else ""
        mend = "use what it was written with" if self.mode == "replay" else (
            "use what it was written with, or delete the file to begin the session anew and pay for it again"
        )  # fmt: skip
        return JournalMismatch(
            f"{self.path}, event {self._next}: this run {what}{has}.",
            hint=f"prompts, agent specs, settings or the program have changed since it was written; {mend}",
            exit_code=EXIT_FAILED,
        )

    def _append(self, kind: str, digest: str, data: Json) -> Event:
        event = Event(
            n=self._next, kind=kind, session=self.session, step="/".join(self._steps),
            parent="/".join(self._steps[:-1]), time=self._clock(), key=digest, data=data,
        )  # fmt: skip
        line = dump_json(event.model_dump())
        if self.path is not None:
            _write_line(self.path, line)
        event = _event(line)
        self._events.append(event)
        self._next += 1
        return event


def read_journal(path: Path) -> list[Event]:
    """The events of a file, which may be one that is being written; a last line that is cut off is left out.

    Raises
    ------
    UserError
        Another line is not an event, or the file cannot be read.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[list[Event], int]:
    """The events, and where the last of them ends in the file."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    *lines, rest = raw.split(b"\n")
    events = []
    for number, line in enumerate(lines):
        try:
            event = _event(line)
        except ValueError as error:
            raise _unreadable(path, number, str(error).splitlines()[0]) from None
        if event.n != number:
            raise _unreadable(path, number, f"it is number {event.n}")
        events.append(event)
    try:  # a whole event whose newline was cut off was paid for like any other
        events.append(_event(rest))
        return events, len(raw)
    except ValueError:
        return events, len(raw) - len(rest)


def _event(line: str | bytes) -> Event:
    # Not pydantic's reader of JSON: it refuses half a surrogate pair, which models do write.
    return Event.model_validate(json.loads(line))


def _unreadable(path: Path, number: int, why: str) -> UserError:
    return UserError(
        f"{path}, line {number + 1} is not event {number} of a session: {why}.",
        hint="without this line and all after it, a resumed session asks for the rest again",
    )


def _mend(path: Path, length: int) -> None:
    """Cut off what a kill left of a line, and end a whole one."""
    try:
        with path.open("r+b") as file:
            file.truncate(length)
            file.seek(max(length - 1, 0))
            if length and file.read(1) != b"\n":
                file.write(b"\n")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from None


def _write_line(path: Path, line: str) -> None:
    """Append a line so that it survives a kill; what a full disk took of it is cut off again."""
    length = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            length = file.tell()
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if length is not None:
            os.truncate(path, length)
        raise UserError(
            f"{path} cannot be written: {error.strerror}.",
            hint="make room, then resume: what is in the file is not paid again",
            exit_code=EXIT_FAILED,
        ) from None


def _other_parts(key: Any, data: Json) -> list[str]:
    """Which parts of a key differ from what is kept with the answer, where that can be told."""
    if not isinstance(key, Mapping):
        return []
    return [name for name, value in key.items() if name in data and _digest(data[name]) != _digest(value)]


def _digest(key: Any) -> str:
    text = json.dumps(key, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]

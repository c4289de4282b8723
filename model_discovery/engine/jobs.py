"""What goes to an engine and what comes back: data, and the context that a running job sees."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from model_discovery.engine.places import Slot

T = TypeVar("T")
Json = dict[str, Any]
JobStatus = Literal["done", "failed", "refused", "lost"]


@dataclass(frozen=True, slots=True)
class Job:
    """Work for a worker.

    Parameters
    ----------
    id
        The caller's number; results carry it.
    function
        ``"package.module:name"`` of a ``def name(request: dict, context: JobContext) -> dict``.
    request
        JSON; what the function gets.
    folder
        Made before the function runs; the only place where the job leaves files. What it prints goes to
        ``job.log`` there.
    waits
        It waits for others, such as a model's server, more than it computes: it need not hold a core.
    """

    id: int
    function: str
    request: Json
    folder: Path
    waits: bool = False


@dataclass(frozen=True, slots=True)
class JobProgress:
    """What a running job reported: a few fields for whoever watches."""

    id: int
    fields: Json


@dataclass(frozen=True, slots=True)
class JobResult:
    """The end of a job.

    ``done`` has the ``value``; ``failed``: the function raised, or returned no JSON object; ``refused``: the
    reader has something to mend before it can be done (it raised `UserError`, a library is missing, its
    folder cannot be written); ``lost``: its worker died. ``error`` is one line, ``traceback`` the rest (of a
    lost job: the end of its output).
    """

    id: int
    status: JobStatus
    value: Json | None
    error: str
    traceback: str
    seconds: float


class Resources:
    """What jobs keep in a worker for the jobs after them, such as a sandbox with torch loaded."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def keep(self, key: str, factory: Callable[[], T]) -> T:
        """The resource of this key, made by ``factory`` the first time."""
        if key not in self._kept:
            self._kept[key] = factory()
        return cast(T, self._kept[key])

    def close(self) -> None:
        """Close all that can be closed, the latest first, and forget them."""
        while self._kept:
            _, resource = self._kept.popitem()
            close = getattr(resource, "close", None)
            if close is None:
                continue
            try:
                close()
            # Somebody else's clean-up must not take the worker down; its log says what happened.
            except Exception:
                traceback.print_exc()


class JobContext:
    """What a job's function sees of its worker.

    Parameters
    ----------
    folder
        The job's own folder.
    threads
        How many threads it may use; the environment says so to torch already.
    slot
        The GPU it may use, if any, and its share of that one's memory.
    """

    def __init__(
        self,
        folder: Path,
        threads: int,
        *,
        send: Callable[[Json], None],
        resources: Resources,
        slot: Slot = Slot(),  # noqa: B008 (frozen)
    ) -> None:
        self.folder = folder
        self.threads = threads
        self.slot = slot
        self._send = send
        self._resources = resources

    def report(self, **fields: Any) -> None:
        """Show progress to whoever watches; a few JSON values, such as ``tokens=1024, loss=3.2``."""
        self._send(fields)

    def keep(self, key: str, factory: Callable[[], T]) -> T:
        """A resource that lives as long as the worker, whose end calls its ``close()``, if it has one.

        A job that failed with anything but a `UserError` ends all of them: one of them may be what broke.
        """
        return self._resources.keep(key, factory)

"""A worker: one process that runs one job after the other, and never outlives its controller."""

import ctypes
import faulthandler
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from model_discovery.engine.cards import Card
from model_discovery.engine.jobs import JobContext, Json, Resources
from model_discovery.engine.places import Slot
from model_discovery.errors import UserError
from model_discovery.strict_json import dump_json

PR_SET_PDEATHSIG = 1
LOG_NAME = "job.log"


def main(descriptor: int, parent: int, threads: int, slot_fields: Json) -> None:
    """Serve jobs from the connection ``descriptor`` until it closes or the process ``parent`` is gone."""
    die_with(parent)
    # Ctrl-C is the controller's: it decides what becomes of running jobs.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    os.set_inheritable(descriptor, False)
    connection: Connection[Any, Any] = Connection(descriptor)
    resources = Resources()
    card = slot_fields["card"]
    slot = Slot(None if card is None else Card(**card), slot_fields["share"])
    try:
        while True:
            try:
                message = json.loads(connection.recv_bytes())
            except (EOFError, ConnectionError):
                break
            _send(connection, _run(message, threads, slot, connection, resources))
    except ControllerGone:
        return
    finally:
        resources.close()


class ControllerGone(BaseException):
    """Nobody reads any more. No `Exception`, so that no job's handler takes it for an error of its work."""


def _send(connection: "Connection[Any, Any]", text: str) -> None:
    try:
        connection.send_bytes(text.encode())
    except OSError:
        raise ControllerGone from None


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies, also if it died a moment ago."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _run(
    message: Json, threads: int, slot: Slot, connection: "Connection[Any, Any]", resources: Resources
) -> str:
    """Run one job; the answer for the controller, as JSON."""
    started = time.monotonic()

    def send(fields: Json) -> None:
        _send(connection, json.dumps({"progress": fields}, default=str))

    answer: Json = {"status": "done", "value": None, "error": "", "traceback": ""}
    try:
        folder = Path(message["folder"])
        with output_to(_open_log(folder)):
            context = JobContext(folder, threads, send=send, resources=resources, slot=slot)
            answer["value"] = _call(message["function"], message["request"], context)
        return dump_json({**answer, "seconds": time.monotonic() - started})
    # The border of the process: whatever a job raises is recorded under its name.
    except (Exception, SystemExit) as error:
        _fail(answer, error, resources)
    return dump_json({**answer, "seconds": time.monotonic() - started})


def _call(name: str, request: Json, context: JobContext) -> Json:
    value = find_function(name)(request, context)
    if not isinstance(value, dict):
        raise TypeError(f"{name} returned {type(value).__name__}, not a dict")
    try:
        dump_json(value)
    except ValueError as error:
        raise ValueError(f"the result of {name} is {error}") from None
    return value


def find_function(name: str) -> Callable[[Json, JobContext], Json]:
    """The function ``"package.module:name"``."""
    module, _, attribute = name.partition(":")
    found = getattr(importlib.import_module(module), attribute, None)
    if not callable(found):
        raise TypeError(f"'{name}' is no function")
    return found  # type: ignore[no-any-return]


def _fail(answer: Json, error: BaseException, resources: Resources) -> None:
    told = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    if isinstance(error, ImportError):
        told = f"This installation is incomplete: {told} (install the package again, with what it depends on)"
    line = " ".join(told.split())
    trace = "".join(traceback.format_exception(error))
    status = "refused" if isinstance(error, UserError | ImportError) else "failed"
    answer |= {"status": status, "value": None, "error": line, "traceback": trace}
    if not isinstance(error, UserError):
        resources.close()


def _open_log(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UserError(
            f"The folder of a job, {folder}, cannot be written: {error.strerror}.",
            hint="free some space or mend its rights",
        ) from error


@contextmanager
def output_to(log: int) -> Iterator[None]:
    """Write to a descriptor what this process and its children write to their output; closed at the end."""
    kept = [os.dup(1), os.dup(2)]
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        os.close(log)

"""The forked child: confine itself, run the entry, hand back what it returned or why it could not."""

import errno
import importlib
import os
import resource
import socket
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from model_discovery.sandbox.confine import close_network, confine
from model_discovery.sandbox.frames import Channel
from model_discovery.sandbox.outcome import Status
from model_discovery.sandbox.spec import CallSpec, ServerSpec

Entry = Callable[[dict[str, Any], Channel], dict[str, Any]]
_TRACEBACK_BYTES = 16_384
_leave = os._exit  # the entry may put something else in its place, and what follows is the server's own loop
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "Cannot allocate memory",
)
_BY_ERRNO: dict[int, Status] = {
    errno.ENOMEM: "memory",
    errno.EFBIG: "disk",
    errno.ENOSPC: "disk",
    errno.EDQUOT: "disk",
    # The filter answers with these two, so that a refused process or socket has a name of its own.
    errno.ECHILD: "fork",
    errno.ENETDOWN: "network",
    # Where no filter is, an empty network namespace says one of these.
    errno.ENETUNREACH: "network",
    errno.EHOSTUNREACH: "network",
    errno.ECONNREFUSED: "network",
}


def run(server: ServerSpec, call: CallSpec, channel_fd: int, output_fd: int, parent: int) -> NoReturn:
    """Never returns: ends the process with 0 once a result or a failure has been sent."""
    channel, code = Channel(channel_fd, bytes.fromhex(call.token)), 1
    try:
        confine(server, call, channel_fd, output_fd, parent)
        if (first := channel.read()) is not None:
            if call.connect:
                load(call.connect)(first["request"], channel)
                close_network(server)
            channel.write({"result": load(call.entry)(first["request"], channel)})
        code = 0
    except BaseException as error:
        _report(channel, error)
        code = 0
    finally:
        _leave(code)


def load(entry: str) -> Entry:
    """The function called ``package.module:function``."""
    module, _, name = entry.partition(":")
    function: Entry = getattr(importlib.import_module(module), name)
    return function


def _report(channel: Channel, error: BaseException) -> None:
    for limit in (resource.RLIMIT_DATA, resource.RLIMIT_AS):
        _, hard = resource.getrlimit(limit)  # REPORTING_ROOM of confine.py above what the code was allowed
        resource.setrlimit(limit, (hard, hard))
    failure = {"status": classify(error), "error": one_line(error), "traceback": _text(error)}
    channel.write({"failure": failure})


def classify(error: BaseException) -> Status:
    """The status that names an exception, looking through the ones it was raised from."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        status = _classify_one(link)
        if status != "error":
            return status
        seen.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "error"


def _classify_one(error: BaseException) -> Status:
    if isinstance(error, SystemExit):
        return "exit"
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, socket.gaierror):
        return "network"
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno or 0, "error")
    if isinstance(error, RuntimeError):
        text = _safe_str(error)
        if any(sign in text for sign in _OUT_OF_MEMORY):
            return "memory"
        if "can't start new thread" in text:
            return "fork"
    return "error"


def one_line(error: BaseException) -> str:
    """``ValueError: what it says``, first line only."""
    text = _safe_str(error).strip().partition("\n")[0]
    name = type(error).__name__
    return f"{name}: {text}"[:500] if text else name


def _safe_str(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failure:  # the exception's own code, which nobody has read
        return f"(its message cannot be shown: {type(failure).__name__})"


def _text(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(error, limit=-20))
    except Exception as failure:  # as above
        return f"(traceback cannot be shown: {type(failure).__name__})"
    return text[-_TRACEBACK_BYTES:]

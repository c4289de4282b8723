"""Connections made before the walls close, and what code behind them tries."""

import os
import socket
import threading
from collections.abc import Callable
from typing import Any

from model_discovery.sandbox import Channel

_kept: dict[str, Any] = {}


def connect(request: dict[str, Any], channel: Channel) -> None:
    """Connect, listen as libraries do, and start a thread that will try what the entry tries."""
    _kept["listening"] = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
    _kept["port"] = request["port"]
    _kept["socket"] = socket.create_connection(("127.0.0.1", request["port"]))
    _kept["go"] = threading.Event()
    _kept["thread"] = threading.Thread(target=_later)
    _kept["thread"].start()


def use(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Talk on the connection that is there, then try for more."""
    _kept["socket"].sendall(b"hi")
    answer = {"heard": _kept["socket"].recv(2).decode(), "here": _attempts()}
    _kept["go"].set()
    _kept["thread"].join()
    return answer | {"in a thread from before": _kept["in thread"]}


def _later() -> None:
    _kept["go"].wait()
    _kept["in thread"] = _attempts()


def _attempts() -> dict[str, str]:
    mine = _kept["socket"]
    return {
        "socket": _said(socket.socket),
        "socketpair": _said(socket.socketpair),
        "bind": _said(lambda: mine.bind(("127.0.0.1", 0))),
        "connect": _said(lambda: mine.connect(("127.0.0.1", 9))),
        "connect by sending": _said(lambda: _disconnected().sendto(*_opening())),
        "connect by a message": _said(lambda: _disconnected().sendmsg([b"hi"], [], *_opening()[1:])),
        "fork": _said(os.fork),
        "read": _said(lambda: os.open("/etc/shadow", os.O_RDONLY)),
        "write": _said(lambda: os.open("/usr/forged", os.O_WRONLY | os.O_CREAT)),
    }


def _disconnected() -> socket.socket:
    """A socket that listened: shut down it is as new, and sending may connect it."""
    listening: socket.socket = _kept["listening"].pop()
    listening.shutdown(socket.SHUT_RD)
    return listening


def _opening() -> tuple[bytes, int, tuple[str, int]]:
    return b"hi", socket.MSG_FASTOPEN, ("127.0.0.1", _kept["port"])


def _said(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    return "done"

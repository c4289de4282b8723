"""What the caller and the server tell each other: plain data, JSON on the wire."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from model_discovery.sandbox.outcome import Limits

ACCEPTED = b"+"  # the server's first byte on a report socket: the child has been forked
MAX_PACKET = 128 * 1024  # bytes; specifications are small, requests travel on the call's own channel


@dataclass(frozen=True)
class ServerSpec:
    """How a server prepares itself before it takes calls."""

    preload: tuple[str, ...]
    threads: int
    system: tuple[str, ...]
    readable: tuple[str, ...]
    writable: str
    devices: tuple[str, ...] = ()
    die_with_parent: bool = False
    build_root: bool = False
    network: bool = False


@dataclass(frozen=True)
class CallSpec:
    """One call: what to run, where it may write, what it may use."""

    entry: str
    folder: str
    readable: tuple[str, ...]
    limits: Limits
    token: str
    connect: str = ""
    programs: bool = False


@dataclass(frozen=True)
class Report:
    """What the server saw of a child that has ended."""

    killed: str = ""
    reason: str = ""
    code: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float | None = None
    peak_memory_mb: float | None = None
    output: str = ""


@dataclass(frozen=True)
class Ready:
    """The server's first word: it takes calls, or why it cannot."""

    error: str = ""
    walls: tuple[str, ...] = field(default=())


def pack(value: Any) -> bytes:
    """One packet from one of the dataclasses above."""
    return json.dumps(asdict(value)).encode()


def unpack_server(data: bytes) -> ServerSpec:
    return ServerSpec(**_tuples(json.loads(data)))


def unpack_call(data: bytes) -> CallSpec:
    raw = _tuples(json.loads(data))
    return CallSpec(**{**raw, "limits": Limits(**raw["limits"])})


def unpack_report(data: bytes) -> Report:
    return Report(**json.loads(data))


def unpack_ready(data: bytes) -> Ready:
    return Ready(**_tuples(json.loads(data)))


def _tuples(raw: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}

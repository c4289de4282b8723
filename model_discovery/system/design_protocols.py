"""How agents reach a design session: over MCP, or as lines of JSON. Standard output is the protocol's."""

import functools
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from pydantic import TypeAdapter, ValidationError, validate_call

from model_discovery.errors import EXIT_FAILED, UserError, nearest, unknown
from model_discovery.system.design_server import OPERATIONS, DesignServer

_INSTRUCTIONS = (
    "You design blocks of language models for a campaign that trains and compares them. Call next_request "
    "and contract first; read parents with design; look for ideas with search_papers and unit; write a unit "
    "or a tree; check it until the report is ok; submit it with a prediction that could turn out wrong."
)

Operation = Callable[..., dict[str, Any]]


def operations(server: DesignServer) -> dict[str, Operation]:
    """The operations by name; only one runs at a time."""
    lock = threading.Lock()
    return {name: _one_at_a_time(getattr(server, name), lock) for name in OPERATIONS}


def _one_at_a_time(operation: Operation, lock: threading.Lock) -> Operation:
    @functools.wraps(operation)
    def call(*args: Any, **kwargs: Any) -> dict[str, Any]:
        with lock:
            return operation(*args, **kwargs)

    return call


def _tell_people(what: str) -> None:
    """Whoever starts this by hand is not left before a silent terminal."""
    if sys.stdin is not None and sys.stdin.isatty():
        print(f"waiting for {what} on standard input; Ctrl-C ends it (see docs/agents.md)", file=sys.stderr)


# -- MCP


def serve_mcp(server: DesignServer) -> None:
    """Serve over MCP on standard input and output until the client leaves."""
    try:
        from mcp.server import MCPServer
    except ImportError:
        raise UserError(
            "The MCP server needs the package mcp.",
            hint="pip install 'model-discovery[mcp]'; or use the same operations with mcp --json",
            exit_code=EXIT_FAILED,
        ) from None
    from model_discovery import __version__

    front = MCPServer("model-discovery", instructions=_INSTRUCTIONS, version=__version__, log_level="WARNING")
    for operation in operations(server).values():
        front.add_tool(_telling(operation))
    _tell_people("an MCP client")
    front.run("stdio")


def _telling(operation: Operation) -> Operation:
    """The operation with errors for people told to the agent as they are."""
    from mcp.server.mcpserver.exceptions import ToolError

    @functools.wraps(operation)
    def call(*args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            return operation(*args, **kwargs)
        except UserError as error:
            raise ToolError(str(error)) from None

    return call


# -- lines of JSON


def serve_json(server: DesignServer, lines: TextIO | None = None) -> None:
    """Answer lines ``{"id": …, "op": NAME, "args": {…}}`` from standard input, one line each, until it ends.

    An answer is ``{"id": …, "result": {…}}`` or ``{"id": …, "error": {"message": …, "hint": …}}``. The
    operation ``help`` lists the others with the JSON schema of their arguments.
    """
    known = operations(server)
    _tell_people("lines of JSON")
    with _own_stdout() as wire:
        for line in sys.stdin if lines is None else lines:
            if line.strip():
                wire.write(json.dumps(_answer(known, line), default=str) + "\n")
                wire.flush()


def _answer(known: dict[str, Operation], line: str) -> dict[str, Any]:
    """The answer to one line; a fault of ours is named, with the traceback on standard error."""
    asked: dict[str, Any] = {}
    try:
        asked = _read(line)
        return {"id": asked.get("id"), "result": _call(known, asked)}
    except UserError as error:
        return {"id": asked.get("id"), "error": {"message": error.message, "hint": error.hint}}
    except Exception as error:  # the boundary of the process: the session goes on
        traceback.print_exc(file=sys.stderr)
        message = f"{type(error).__name__}: {error}"
        return {"id": asked.get("id"), "error": {"message": message, "hint": "a fault of this program"}}


def _read(line: str) -> dict[str, Any]:
    try:
        asked = json.loads(line)
    except ValueError as error:
        raise UserError(f"Not a line of JSON: {error}.") from None
    if not isinstance(asked, dict) or not isinstance(asked.get("op"), str):
        raise UserError("A line is an object with 'op'.", hint='{"id": 1, "op": "help"}')
    if extra := [key for key in asked if key not in ("id", "op", "args")]:
        raise UserError(f"Unknown key '{extra[0]}'.{nearest(extra[0], ('id', 'op', 'args'))}")
    return asked


def _call(known: dict[str, Operation], asked: dict[str, Any]) -> dict[str, Any]:
    name, args = asked["op"], asked.get("args") or {}
    if name == "help":
        return {"operations": [_described(*item) for item in known.items()]}
    if name not in known:
        raise unknown("operation", name, [*known, "help"])
    if not isinstance(args, dict):
        raise UserError("'args' is an object with arguments by name.")
    operation = known[name]
    try:
        bound = validate_call(_keeping(operation))(**args)
    except ValidationError as error:
        wrong = [f"'{'.'.join(map(str, each['loc']))}': {each['msg']}" for each in error.errors()]
        raise UserError(f"{name}: {'; '.join(wrong)}.", hint="help lists the arguments") from None
    return operation(**bound)


def _keeping(operation: Operation) -> Callable[..., dict[str, Any]]:
    """A function with the operation's signature that gives its arguments back."""

    @functools.wraps(operation)
    def keep(**kwargs: Any) -> dict[str, Any]:
        return kwargs

    return keep


def _described(name: str, operation: Operation) -> dict[str, Any]:
    text = " ".join((operation.__doc__ or "").split())
    taken: Any = operation
    return {"op": name, "does": text, "args": TypeAdapter(taken).json_schema()}


@contextmanager
def _own_stdout() -> Iterator[TextIO]:
    """Standard output for the protocol; whatever else is printed meanwhile goes to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8", newline="\n") as wire:
            yield wire
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)

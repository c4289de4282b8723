"""A model server for tests: OpenAI's chat completions over real HTTP on 127.0.0.1, answering from a script.

    with ScriptedServer([say("hello"), rate_limited(2), say({"rating": 4})]) as server:
        ...  # model "openai/scripted", api_base=server.base_url, any key
    assert server.requests[0].text == "the last message"

A script is a list of answers, given in order, or a callable ``request_json -> Answer | str | dict | model``,
called for one request at a time. A script that raises, or has ended, answers 400 and raises again when the
``with`` block is left. Every folder of tests can import this module: ``from scripted_server import …``
(``pythonpath`` in ``pyproject.toml``).
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from pydantic import BaseModel

Json = dict[str, Any]
PAGE = "<!doctype html><html><head><title>Welcome</title></head><body>A web page.</body></html>"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer: a completion around ``text``, or ``body`` as it is.

    Attributes
    ----------
    usage
        ``(input, output, cached)`` tokens; a quarter of the bytes sent and said unless told.
    body
        Sent instead of a completion.
    delay
        Seconds before anything is sent; infinity: until the server stops.
    drip
        Seconds between pieces of 20 bytes.
    cut
        The connection is closed after this many bytes of the body.
    chunked
        Sent without a length, as servers that stream do.
    """

    text: str | None = ""
    refusal: str | None = None
    finish_reason: str = "stop"
    usage: tuple[int, int, int] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"
    delay: float = 0.0
    drip: float = 0.0
    cut: int | None = None
    chunked: bool = False


@dataclass(frozen=True)
class Request:
    """What the server got. ``text`` is the content of the last message."""

    path: str
    headers: Mapping[str, str]
    json: Json
    time: float

    @property
    def text(self) -> str:
        return str(self.json["messages"][-1]["content"])


Said = Answer | BaseModel | Json | str
Script = Sequence[Said] | Callable[[Json], Said]


def say(what: Said, **how: Any) -> Answer:
    """An answer that says a text, or a model or mapping as JSON; ``how``: fields of Answer."""
    if isinstance(what, Answer):
        return replace(what, **how)
    if isinstance(what, BaseModel):
        what = what.model_dump(mode="json")
    return Answer(what if isinstance(what, str) else json.dumps(what), **how)


def fenced(what: BaseModel | Json, before: str = "Here it is.", **how: Any) -> Answer:
    """JSON in a fenced block after some words, as models without schema output write it."""
    data = what.model_dump(mode="json") if isinstance(what, BaseModel) else what
    return Answer(f"{before}\n\n```json\n{json.dumps(data, indent=1)}\n```\n", **how)


def failure(status: int, message: str, code: str | None = None, **how: Any) -> Answer:
    """An error as OpenAI words them."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return Answer(status=status, body=json.dumps({"error": error}).encode(), **how)


def rate_limited(retry_after: float | str | None = None, *, date: bool = False) -> Answer:
    """429; ``retry_after`` in seconds, with ``date`` sent as an HTTP date, or any text."""
    headers = {}
    if date:
        headers["Retry-After"] = formatdate(time.time() + float(retry_after or 0), usegmt=True)
    elif retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return failure(429, "Rate limit reached for requests.", "rate_limit_exceeded", headers=headers)


def server_error(status: int = 500) -> Answer:
    return failure(status, "The server had an error while processing your request.")


def no_such_model(name: str = "scripted") -> Answer:
    return failure(404, f"The model `{name}` does not exist or you do not have access.", "model_not_found")


def bad_key(key: str = "") -> Answer:
    """401; like some servers it repeats the key it was sent."""
    return failure(401, f"Incorrect API key provided: {key}.", "invalid_api_key")


def context_overflow(limit: int = 8192, got: int = 10000) -> Answer:
    message = (
        f"This model's maximum context length is {limit} tokens. However, your messages resulted in {got} "
        "tokens. Please reduce the length of the messages."
    )
    return failure(400, message, "context_length_exceeded")


def no_response_format() -> Answer:
    """400 as a server says it that knows no schemas."""
    return failure(400, "Unrecognized request argument supplied: response_format", "unknown_parameter")


def empty() -> Answer:
    return Answer("")


def refusal(text: str = "I can't help with that.") -> Answer:
    """As OpenAI refuses: no content, but a refusal."""
    return Answer(None, refusal=text)


def filtered() -> Answer:
    return Answer("", finish_reason="content_filter")


def endless(megabytes: float = 10) -> Answer:
    """A text that never gets anywhere."""
    return Answer("and then " * int(megabytes * 1e6 / 9), finish_reason="length")


def html_page(status: int = 200) -> Answer:
    return Answer(body=PAGE.encode(), status=status, content_type="text/html; charset=utf-8")


def not_json() -> Answer:
    """A body that claims to be JSON and is not."""
    return Answer(body=b'{"id": "chatcmpl-1", "choices": [{"mess')


def never() -> Answer:
    return Answer(delay=float("inf"))


def cut(what: Said = "a text whose end is lost " * 20, after: int = 120, *, chunked: bool = False) -> Answer:
    """The connection ends after so many bytes of the body."""
    return say(what, cut=after, chunked=chunked)


class ScriptedServer:
    """Answers from a script while the ``with`` block lasts.

    Attributes
    ----------
    requests
        Every request for a completion, in the order of arrival.
    path
        Where it answers; servers that speak otherwise than OpenAI's have other paths, and give bodies.
    base_url
        With ``/v1``. Below ``root_url`` alone everything is a web page, as a mistyped address gives.
    """

    def __init__(
        self, script: Script, *, models: Sequence[str] = ("scripted",), path: str = "/v1/chat/completions"
    ) -> None:
        self.requests: list[Request] = []
        self.errors: list[Exception] = []
        self.models = tuple(models)
        self.path = path
        self.stopping = threading.Event()
        self._script = script
        self._lock = threading.Lock()
        self._server = _Threads(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def root_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def base_url(self) -> str:
        return f"{self.root_url}/v1"

    def __enter__(self) -> "ScriptedServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self.errors and error is None:
            raise self.errors[0]

    def stop(self) -> None:
        """From now on connections are refused; those that wait are closed."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            try:
                if callable(self._script):
                    return say(self._script(request.json))
                if len(self.requests) > len(self._script):
                    raise AssertionError(f"the script has only {len(self._script)} answers")
                return say(self._script[len(self.requests) - 1])
            except Exception as error:  # whatever the test's script does wrong is the test's to see
                self.errors.append(error)
                return failure(400, f"script: {error}", "script_failed")


class _Threads(ThreadingHTTPServer):
    owner: ScriptedServer
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Threads

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            self._send(html_page())
            return
        listed = [{"id": name, "object": "model", "owned_by": "test"} for name in self.server.owner.models]
        self._send(Answer(body=json.dumps({"object": "list", "data": listed}).encode()))

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        owner = self.server.owner
        if self.path != owner.path:
            self._send(html_page())
            return
        request = Request(self.path, dict(self.headers.items()), json.loads(raw), time.time())
        answer = owner.answer(request)
        number = len(owner.requests)
        if answer.delay and owner.stopping.wait(None if answer.delay == float("inf") else answer.delay):
            self.close_connection = True
            return
        body = answer.body if answer.body is not None else _completion(answer, request, len(raw), number)
        self._send(replace(answer, body=body), {"x-request-id": f"req-{number}"})

    def _send(self, answer: Answer, more: Mapping[str, str] | None = None) -> None:
        body = answer.body or b""
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        for name, value in {**(more or {}), **answer.headers}.items():
            self.send_header(name, value)
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self._write(body[: answer.cut], answer)
        except OSError:  # the client went away, as it may
            self.close_connection = True
            return
        if answer.cut is not None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def _write(self, body: bytes, answer: Answer) -> None:
        step = 20 if answer.drip else 1 << 16
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if answer.chunked else piece)
            if answer.drip and self.server.owner.stopping.wait(answer.drip):
                return
        if answer.chunked and answer.cut is None:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Tests print nothing."""


def _completion(answer: Answer, request: Request, sent: int, number: int) -> bytes:
    given, said, cached = answer.usage or (sent // 4 + 1, len(answer.text or "") // 4 + 1, 0)
    message = {"role": "assistant", "content": answer.text, "refusal": answer.refusal}
    return json.dumps(
        {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 1,
            "model": request.json.get("model"),
            "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
            "usage": {
                "prompt_tokens": given,
                "completion_tokens": said,
                "total_tokens": given + said,
                "prompt_tokens_details": {"cached_tokens": cached},
            },
        }
    ).encode()

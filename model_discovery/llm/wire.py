"""What passes over HTTP during a request: seen, bounded, and told apart where it breaks.

litellm turns every trouble of a connection into a few exceptions and drops headers on the way. This transport
sits below it, and keeps what decides about a retry: was the request sent, what was the status, how long to
wait, did the answer break off, was it a web page.
"""

import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.request import getproxies, proxy_bypass

import httpx

Problem = Literal["", "connect", "timeout", "cut", "endless"]
_HEAD = 4000
_CONNECT = 10.0  # seconds; an answer may take long, a connection does not


class TooMuch(httpx.TransportError):
    """An answer passed its bound in bytes."""


@dataclass
class Exchange:
    """A request and what came back of its answer.

    Attributes
    ----------
    max_bytes, seconds
        Bounds of the answer: bytes of its body, and seconds from the request to its end.
    problem
        Where it broke: ``connect`` before the request was sent, the others after.
    status
        None when no answer came.
    retry_after
        Seconds to wait, as the server asks.
    head
        The first bytes of the body.
    """

    max_bytes: int
    seconds: float
    problem: Problem = ""
    why: str = ""
    status: int | None = None
    content_type: str = ""
    retry_after: float | None = None
    request_id: str = ""
    head: bytearray = field(default_factory=bytearray)


CURRENT: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


class Wire(httpx.BaseTransport):
    """The transport of every model's client in this process; proxies as the environment says."""

    def __init__(self, verify: object = True) -> None:
        self._verify = verify
        self._ways: dict[str | None, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        exchange = CURRENT.get()
        if exchange is None:
            return self._way(request.url).handle_request(request)
        deadline = time.monotonic() + exchange.seconds
        times = dict(request.extensions.get("timeout", {}))
        request.extensions["timeout"] = {**times, "connect": _CONNECT, "pool": _CONNECT}
        request.headers["Accept-Encoding"] = "identity"  # the bound counts what the text will take
        try:
            response = self._way(request.url).handle_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
            exchange.problem, exchange.why = "connect", str(error)
            raise
        except httpx.TransportError as error:
            exchange.problem, exchange.why = _broken(error), str(error)
            raise
        _read_headers(exchange, response)
        assert isinstance(response.stream, httpx.SyncByteStream)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_Watched(response.stream, exchange, deadline),
            extensions=response.extensions,
        )

    def close(self) -> None:
        for way in self._ways.values():
            way.close()

    def _way(self, url: httpx.URL) -> httpx.HTTPTransport:
        proxy = None if proxy_bypass(url.host) else getproxies().get(url.scheme)
        if proxy not in self._ways:
            self._ways[proxy] = httpx.HTTPTransport(verify=self._verify, proxy=proxy)  # type: ignore[arg-type]
        return self._ways[proxy]


class _Watched(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, exchange: Exchange, deadline: float) -> None:
        self._stream = stream
        self._exchange = exchange
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        exchange, got = self._exchange, 0
        try:
            for piece in self._stream:
                got += len(piece)
                exchange.head += piece[: max(0, _HEAD - len(exchange.head))]
                if got > exchange.max_bytes:
                    raise TooMuch(f"more than {exchange.max_bytes:,} bytes")
                if time.monotonic() > self._deadline:
                    raise httpx.ReadTimeout("the answer took too long")
                yield piece
        except httpx.TransportError as error:
            exchange.problem, exchange.why = _broken(error), str(error)
            raise

    def close(self) -> None:
        self._stream.close()


def _broken(error: httpx.TransportError) -> Problem:
    if isinstance(error, TooMuch):
        return "endless"
    return "timeout" if isinstance(error, httpx.TimeoutException) else "cut"


def _read_headers(exchange: Exchange, response: httpx.Response) -> None:
    headers = response.headers
    exchange.status = response.status_code
    exchange.content_type = headers.get("content-type", "").split(";")[0].strip().lower()
    exchange.request_id = headers.get("x-request-id") or headers.get("request-id") or ""
    exchange.retry_after = seconds_to_wait(headers)


def seconds_to_wait(headers: httpx.Headers) -> float | None:
    """What ``Retry-After`` says, in seconds from now; None when it says nothing that can be read."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if (seconds := _number(value)) is not None or value is None:
        return seconds
    try:
        until = parsedate_to_datetime(value).timestamp()
        now = parsedate_to_datetime(headers["date"]).timestamp() if "date" in headers else time.time()
    except (ValueError, OverflowError):
        return None
    return max(0.0, until - now)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None

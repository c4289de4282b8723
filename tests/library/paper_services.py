"""A server on this machine that answers as Semantic Scholar and arXiv do, and misbehaves when told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

S2_ID = "7d755929690577dbd4b8c187238ed44c3e3a247a"
RECORD = {
    "paperId": S2_ID,
    "externalIds": {"ArXiv": "2312.00752", "DOI": "10.48550/arXiv.2312.00752", "CorpusId": 265551773},
    "title": "Mamba: Linear-Time Sequence Modeling with\nSelective State Spaces",
    "abstract": "Selective state spaces let the model forget along the sequence.",
    "venue": "arXiv.org",
    "year": 2023,
    "openAccessPdf": {"url": "", "status": "GREEN"},
    "authors": [{"authorId": "1", "name": "Albert Gu"}, {"authorId": "2", "name": "Tri Dao"}],
}
OTHER = {
    **RECORD,
    "paperId": "a" * 40,
    "externalIds": {"DOI": "10.1000/Gates"},
    "title": "Gates & Decay",
    "year": 2020,
}
ENTRY = """<entry>
 <id>http://arxiv.org/abs/{id}v2</id><published>2023-12-01T18:01:34Z</published>
 <title>Mamba: Linear-Time Sequence Modeling with
   Selective State Spaces</title>
 <summary>  Selective state spaces let the model forget along the sequence.
 </summary>
 <author><name>Albert Gu</name></author><author><name>Tri Dao</name></author>
 <arxiv:journal_ref>COLM 2024</arxiv:journal_ref>
 <link title="pdf" href="{url}/pdf/{id}" rel="related" type="application/pdf"/>
</entry>"""
FEED = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom">
<title>ArXiv Query</title>{entries}</feed>"""
JSON, ATOM = "application/json", "application/atom+xml"


@dataclass(frozen=True)
class Said:
    """An answer: status, type, body; further headers."""

    body: str | bytes
    status: int = 200
    type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Asked:
    """A request as it came."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class PaperServices:
    """Both services at ``url``. ``faults`` are answered first, one a request; ``asked`` is what came."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.faults: list[Said | Callable[[], Said]] = []
        self.pdf = b""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def answer(self, asked: Asked) -> Said:
        if self.faults:
            fault = self.faults.pop(0)
            return fault() if callable(fault) else fault
        if asked.path == "/api/query":
            return self._atom(asked.query)
        if asked.path.startswith("/pdf/"):
            return Said(self.pdf, type="application/pdf")
        return self._graph(asked)

    def _atom(self, query: dict[str, str]) -> Said:
        known = query.get("id_list", "2312.00752") == "2312.00752"
        entries = ENTRY.format(id="2312.00752", url=self.url) if known else ""
        return Said(FEED.format(entries=entries), type=ATOM)

    def _graph(self, asked: Asked) -> Said:
        if asked.path == "/graph/v1/paper/search":
            found = [RECORD, OTHER][: int(asked.query["limit"])]
            return Said(json.dumps({"total": len(found), "offset": 0, "data": found}))
        if asked.path == "/graph/v1/paper/batch":
            return Said(
                json.dumps([OTHER if id == "DOI:10.1000/gates" else None for id in asked.body["ids"]])
            )
        id = asked.path.removeprefix("/graph/v1/paper/")
        known = {
            S2_ID: RECORD,
            "ARXIV:2312.00752": RECORD,
            "DOI:10.1000/gates": OTHER,
            "CorpusId:265551773": RECORD,
        }
        if id not in known:
            return Said(json.dumps({"error": f"Paper with id {id} not found"}), 404)
        return Said(json.dumps(known[id]))

    @classmethod
    @contextmanager
    def running(cls) -> "Iterator[PaperServices]":
        services = cls()
        services._thread.start()
        try:
            yield services
        finally:
            services._server.shutdown()
            services._server.server_close()


def _handler(services: PaperServices) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            size = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            asked = Asked(unquote(parts.path), query, {k.lower(): v for k, v in self.headers.items()}, body)
            services.asked.append(asked)
            said = services.answer(asked)
            data = said.body.encode() if isinstance(said.body, str) else said.body
            self.send_response(said.status)
            for name, value in {
                "content-type": said.type,
                "content-length": str(len(data)),
                **said.headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(BrokenPipeError):  # the client has given up
                self.wfile.write(data)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    return Handler

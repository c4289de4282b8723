"""A hub on this machine that hands out data sets, as far as `datasets` asks when it streams."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "c0ffee" + "0" * 34


class DataHub(ThreadingHTTPServer):
    """Serves ``OWNER/NAME`` folders below ``root``; names that begin with ``gated`` are refused."""

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: DataHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._route(b"")

    def do_HEAD(self) -> None:
        self._route(b"")

    def do_POST(self) -> None:
        self._route(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _route(self, body: bytes) -> None:
        path = self.path.split("?")[0]
        self.server.asked.append(f"{self.command} {self.path}")
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "datasets"] and len(parts) >= 4:
            self._api("/".join(parts[2:4]), parts[4:], body)
        elif parts[0] == "datasets" and parts[3:4] == ["resolve"]:
            self._file(self.server.root / parts[1] / parts[2] / "/".join(parts[5:]))
        else:
            self._answer(404, {"error": path}, code="EntryNotFound")

    def _api(self, name: str, rest: list[str], body: bytes) -> None:
        folder = self.server.root / name
        if name.split("/")[1].startswith("gated") and rest == ["auth-check"]:
            self._answer(403, {"error": "gated"}, code="GatedRepo")
        elif not folder.is_dir():
            self._answer(404, {"error": "no such data set"}, code="RepoNotFound")
        elif rest[:1] == ["revision"] and rest[1] not in ("main", COMMIT):
            self._answer(404, {"error": "no such revision"}, code="RevisionNotFound")
        elif rest[:1] == ["tree"]:
            start = folder.joinpath(*rest[2:])
            inside = sorted(start.rglob("*") if "recursive=true" in self.path else start.glob("*"))
            self._answer(200, [self._entry(folder, file) for file in inside])
        elif rest[:1] == ["paths-info"]:
            wanted = [part.split("=")[1] for part in body.decode().split("&") if part.startswith("paths=")]
            wanted = wanted or json.loads(body or b"{}").get("paths", [])
            files = [folder / name for name in wanted]
            self._answer(200, [self._entry(folder, file) for file in files if file.exists()])
        else:
            gated = "manual" if folder.name.startswith("gated") else False
            below = sorted(file for file in folder.rglob("*") if file.is_file())
            files = [{"rfilename": file.relative_to(folder).as_posix()} for file in below]
            info = {"id": name, "sha": COMMIT, "gated": gated, "siblings": files, "private": False}
            self._answer(200, info | {"tags": [], "downloads": 0, "likes": 0, "disabled": False})

    def _entry(self, folder: Path, file: Path) -> dict[str, Any]:
        path = file.relative_to(folder).as_posix()
        if file.is_dir():
            return {"type": "directory", "path": path, "oid": "0" * 40}
        oid = hashlib.sha1(file.read_bytes()).hexdigest()
        return {"type": "file", "path": path, "oid": oid, "size": file.stat().st_size}

    def _file(self, file: Path) -> None:
        if not file.is_file():
            self._answer(404, {"error": file.name}, code="EntryNotFound")
            return
        content = file.read_bytes()
        status, span = 200, self.headers.get("Range", "")
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        if span.startswith("bytes="):
            first, _, last = span.removeprefix("bytes=").partition("-")
            end = min(int(last or len(content) - 1), len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{end}/{len(content)}"
            status, content = 206, content[int(first) : end + 1]
        self._send(status, content, "application/octet-stream", headers)

    def _answer(self, status: int, value: Any, code: str = "") -> None:
        headers = {"X-Error-Code": code} if code else {}
        self._send(status, json.dumps(value).encode(), "application/json", headers)

    def _send(self, status: int, content: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def data_hub(root: Path) -> Iterator[DataHub]:
    """A hub over ``root`` that answers while the block runs."""
    with DataHub(root) as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()

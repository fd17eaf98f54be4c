"""A Hugging Face hub on 127.0.0.1, as far as ``huggingface_hub`` needs one to fetch a model."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

_INFO = re.compile(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?")
_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass
class FakeHub:
    """What the hub holds and how it misbehaves; ``requests`` logs ``"METHOD path [range]"``."""

    url: str = ""
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    token: str | None = None  # needed for everything, if set
    status: int | None = None  # answer everything with it
    cut_after: dict[str, int] = field(default_factory=dict)  # file -> bytes, once
    short: set[str] = field(default_factory=set)  # files whose end never comes
    requests: list[str] = field(default_factory=list)

    def add(self, repo: str, folder: Path) -> None:
        self.repos[repo] = {f.name: f.read_bytes() for f in folder.iterdir() if f.is_file()}

    def downloads(self) -> list[str]:
        """Names of the files of openai's repositories that were asked for."""
        return [r.rpartition("/")[2] for r in self.requests if r.startswith("GET /openai")]

    def commit(self, repo: str) -> str:
        parts = (name.encode() + data for name, data in sorted(self.repos[repo].items()))
        return hashlib.sha1(b"".join(parts)).hexdigest()


def digest(name: str, data: bytes) -> str:
    """SHA-256 of large files, git's blob id of the others, as on the hub."""
    if name.endswith(".safetensors"):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        wanted = self.headers.get("Range", "")
        self.hub.requests.append(f"{self.command} {path} {wanted}".strip())
        if self.hub.status is not None:
            return self._send(self.hub.status)
        if self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            return self._send(
                401, {"X-Error-Message": "Invalid credentials in Authorization header"}
            )
        if match := _INFO.fullmatch(path):
            return self._info(match[1], match[2] or "main")
        if match := _FILE.fullmatch(path):
            return self._file(match[1], match[2], match[3])
        return self._send(404)

    def _refused(self, repo: str, revision: str) -> str | None:
        if repo not in self.hub.repos:
            return "RepoNotFound"
        if repo in self.hub.gated:
            return "GatedRepo"
        if revision not in {"main", "v1", self.hub.commit(repo)}:
            return "RevisionNotFound"
        return None

    def _info(self, repo: str, revision: str) -> None:
        if code := self._refused(repo, revision):
            return self._send(403 if code == "GatedRepo" else 404, {"X-Error-Code": code})
        siblings = [
            {"rfilename": name, "size": len(data), "blobId": digest(name, data)}
            | (_lfs(data) if name.endswith(".safetensors") else {})
            for name, data in self.hub.repos[repo].items()
        ]
        info = {"id": repo, "sha": self.hub.commit(repo), "siblings": siblings}
        return self._send(200, {"Content-Type": "application/json"}, json.dumps(info).encode())

    def _file(self, repo: str, revision: str, name: str) -> None:
        code = self._refused(repo, revision)
        if code or name not in self.hub.repos[repo]:
            return self._send(404, {"X-Error-Code": code or "EntryNotFound"})
        data = self.hub.repos[repo][name]
        start = int((self.headers.get("Range") or "bytes=0-")[6:].split("-")[0])
        headers = {
            "X-Repo-Commit": self.hub.commit(repo),
            "ETag": f'"{digest(name, data)}"',
            "Accept-Ranges": "bytes",
        }
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return self._send(206 if start else 200, headers, data[start:], cut=self._cut(name))

    def _cut(self, name: str) -> int | None:
        if self.command == "HEAD":
            return None
        return 0 if name in self.hub.short else self.hub.cut_after.pop(name, None)

    def _send(
        self,
        status: int,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        *,
        cut: int | None = None,
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if cut is None else body[:cut])
        self.close_connection = self.close_connection or cut is not None


def _lfs(data: bytes) -> dict[str, object]:
    sha256 = hashlib.sha256(data).hexdigest()
    return {"lfs": {"sha256": sha256, "size": len(data), "pointerSize": 134}}


@contextmanager
def serve() -> Iterator[FakeHub]:
    """Run a hub until the block ends."""
    hub = FakeHub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""A model hub on this machine: the part of Hugging Face's HTTP interface that a download of files uses."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ABOUT = re.compile(r"/api/models/(?P<name>[^/]+/[^/]+)/(revision|tree)/(?P<revision>[^/?]+)")
FILE = re.compile(r"/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>[^?]+)")


@dataclass
class Hub:
    """The hub's address, its models as folders by OWNER/NAME, and the paths of the files it has sent."""

    url: str
    models: dict[str, Path]
    sent: list[str] = field(default_factory=list)


@contextmanager
def serving(models: dict[str, Path]) -> Iterator[Hub]:
    """Serve each folder as the commit COMMIT, which is the branch main, of its model."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Keep requests out of the test's output."""

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            about, file = ABOUT.match(self.path), FILE.match(self.path)
            found = about or file
            if found is None or found["name"] not in models or found["revision"] not in ("main", COMMIT):
                self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body=body)
                return
            folder = models[found["name"]]
            if file is None:
                listed = [described(folder, each) for each in sorted(folder.rglob("*")) if each.is_file()]
                whole = {"id": found["name"], "sha": COMMIT, "siblings": listed}
                content = listed if "/tree/" in self.path else whole
                self.reply(200, json.dumps(content).encode(), {"Content-Type": "application/json"}, body=body)
                return
            data = (folder / file["file"]).read_bytes()
            if body:
                hub.sent.append(file["file"])
            etag = hashlib.sha256(data).hexdigest()
            self.reply(200, data, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, body=body)

        def reply(self, status: int, data: bytes, headers: dict[str, str], *, body: bool) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_port}", models)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def described(folder: Path, file: Path) -> dict[str, object]:
    """A file as the hub lists it."""
    data, path = file.read_bytes(), str(file.relative_to(folder))
    oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return {"type": "file", "rfilename": path, "path": path, "size": len(data), "oid": oid}

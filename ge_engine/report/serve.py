"""Serves a page of a run on the loopback interface while the run is going on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ge_engine.errors import ConfigError, GeError
from ge_engine.ledger.database import FILE

HOST = "127.0.0.1"


def ledger_stamp(folder: Path) -> str:
    """A text that changes when the run database in `folder` was written to. Raises nothing: "" without a run
    database."""
    parts = []
    for name in (FILE, f"{FILE}-wal"):
        path = folder / name
        if path.is_file():
            found = path.stat()
            parts.append(f"{found.st_size:x}.{found.st_mtime_ns:x}")
    return "-".join(parts)


class PageServer(ThreadingHTTPServer):
    """Answers `/` with the page and `/stamp` with the stamp. The page is built when it is asked for and the
    stamp has changed, in the thread that asks. Use as a context manager; `serve_forever` serves.

    `build(stamp)` gives the page. Raises ConfigError when the port is taken.
    """

    daemon_threads = True

    def __init__(self, build: Callable[[str], str], stamp: Callable[[], str], port: int = 0) -> None:
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise ConfigError(
                f"Port {port} cannot be used: {error.strerror}.", "Leave --port out."
            ) from error
        self.stamp = stamp
        self._build = build
        self._lock = threading.Lock()
        self._built = ("", b"")

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}/"

    @property
    def names(self) -> tuple[str, str]:
        """What a browser on this machine calls this server; other names come by a foreign DNS entry."""
        return f"{HOST}:{self.server_port}", f"localhost:{self.server_port}"

    def page(self) -> bytes:
        """The page of the run database as it is now. Raises GeError when it cannot be read."""
        with self._lock:
            stamp = self.stamp()
            if self._built[0] != stamp:
                self._built = (stamp, self._build(stamp).encode())
            return self._built[1]


class _Handler(BaseHTTPRequestHandler):
    server: PageServer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if self.headers.get("Host") not in self.server.names:
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"This page is served to this machine alone.")
        elif path == "/":
            self._page()
        elif path == "/stamp":
            self._answer(HTTPStatus.OK, "text/plain", self.server.stamp().encode())
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"There is no such page.")

    def _page(self) -> None:
        try:
            page = self.server.page()
        except GeError as error:
            text = f"{error.message} {error.hint}"
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", text.encode())
            return
        self._answer(HTTPStatus.OK, "text/html", page)

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not told: the terminal shows the run's address alone."""

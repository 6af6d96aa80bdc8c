"""A loopback server that speaks the OpenAI protocol and misbehaves as it is told.

Behaviours: "picky" refuses what `refuse` says of a request, "raw STATUS" sends the text `raw` as it is.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ge_engine.llm.endpoint import Endpoint
from ge_engine.llm.forms import Form
from ge_engine.llm.server import ServerLimits, ServerModel
from ge_engine.llm.server_pool import Server, ServerPool

GOOD = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "good"}, "finish_reason": "stop"}]
}


def model_of(endpoint: Endpoint, limits: ServerLimits, form: Form | None = None) -> ServerModel:
    """A language model that asks one server."""
    return ServerModel(ServerPool([Server(endpoint, form)], limits.parallel, limits.pause), limits)


class Script:
    """Behaviours by name, one a request, the last one for good. `bodies` are the requests that came.

    What hangs does so until `released`, and "slow" answers then; "wordy" answers once two requests were there
    `together`. `health` is the status of /health, None for no such path; `looks` are what was asked by GET,
    each with the key that came.
    """

    def __init__(self, *behaviours: str) -> None:
        self.behaviours = list(behaviours)
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.text = self.raw = "good"
        self.refuse: Callable[[dict[str, Any]], tuple[int, Any] | None] = lambda _: None
        self.models: list[str] | None = None
        self.health: int | None = None
        self.looks: list[tuple[str, str]] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.most_at_once = 0
        self.together = threading.Event()
        self.released = threading.Event()
        self._now = 0
        self.lock = threading.Lock()

    @contextmanager
    def serving(self) -> Iterator[Callable[[], None]]:
        """Counts how many requests are in flight, and gives what ends that for this one: called before its
        answer goes out, for who has read it may send the next one at once."""
        with self.lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            if self._now > 1:
                self.together.set()
        counted = [1]

        def answered() -> None:
            with self.lock:
                self._now -= counted.pop() if counted else 0

        try:
            yield answered
        finally:
            answered()

    def next(self, body: dict[str, Any], key: str) -> str:
        with self.lock:
            self.bodies.append(body)
            self.keys.append(key)
            return self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]


@contextmanager
def misbehaving(script: Script) -> Iterator[str]:
    """Serve the script; gives the base URL."""

    class Handler(BaseHTTPRequestHandler):
        answered: Callable[[], None] = staticmethod(lambda: None)

        def end_headers(self) -> None:
            self.answered()
            super().end_headers()

        def do_GET(self) -> None:
            script.paths.append(self.path)
            script.looks.append((self.path, self.headers.get("authorization", "")))
            if self.path == "/health" and script.health is not None:
                return _send_bytes(self, script.health, b"")
            if script.models is None or not self.path.startswith("/v1/models"):
                return _send_bytes(self, 404, b"404 page not found")
            return _send(self, 200, {"data": [{"id": name, "object": "model"} for name in script.models]})

        def do_POST(self) -> None:
            script.paths.append(self.path)
            script.headers.append({name.lower(): value for name, value in self.headers.items()})
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with script.serving() as self.answered:
                _act(self, script, body, script.next(body, self.headers.get("authorization", "")))

        def log_message(self, *_: Any) -> None:
            return

    with served(Handler) as url:
        try:
            yield url
        finally:
            script.released.set()


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on loopback; gives the base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def _act(handler: BaseHTTPRequestHandler, script: Script, body: dict[str, Any], behaviour: str) -> None:
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    match behaviour.split():
        case ["good"]:
            _send(handler, 200, {**GOOD, "usage": usage})
        case ["picky"]:
            status, answer = script.refuse(body) or (200, {**GOOD, "usage": usage})
            _send(handler, status, answer)
        case ["raw", code]:
            _send_bytes(handler, int(code), script.raw.encode())
        case ["say"]:
            message = {"role": "assistant", "content": script.text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            _send(handler, 200, {"choices": [choice], "usage": usage})
        case ["null"]:
            _send(handler, 200, {"choices": [{"index": 0, "message": None}], "usage": usage})
        case ["html"]:
            _send(handler, 200, "<html>Bad gateway</html>")
        case ["echo", padding]:
            key = handler.headers.get("authorization")
            _send(handler, 400, {"error": {"message": "x" * int(padding) + str(key)}})
        case ["wordy"]:
            limit = body["max_tokens"]
            read = sum(len(message["content"].encode()) for message in body["messages"])
            spent = {"prompt_tokens": read, "completion_tokens": limit, "total_tokens": read + limit}
            script.together.wait(30)
            _send(handler, 200, {**GOOD, "usage": spent})
        case ["status", code, *headers]:
            pairs = {k: v.replace("_", " ") for k, v in (header.split("=", 1) for header in headers)}
            said = {"error": {"message": f"no, {handler.headers.get('authorization')} is not welcome"}}
            _send(handler, int(code), said, pairs)
        case ["hang"]:
            script.released.wait(600)
        case ["slow"]:
            script.released.wait(600)
            _send(handler, 200, {**GOOD, "usage": usage})
        case ["trickle"]:
            handler.send_response(200)
            handler.send_header("content-length", "1000000")
            handler.end_headers()
            while not script.released.wait(0.1):
                handler.wfile.write(b" ")
                handler.wfile.flush()
        case ["loris"]:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for number in range(100):
                handler.wfile.write(f"x-{number}: 1\r\n".encode())
                handler.wfile.flush()
                time.sleep(0.1)
        case ["bomb", kind]:
            _bomb(handler, kind)
        case ["long", size]:
            message = {"role": "assistant", "content": "x" * int(size)}
            _send(handler, 200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        case ["endless"]:
            handler.send_response(200)
            handler.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    handler.wfile.write(b" " * 2**20)
        case ["redirect", code, place]:
            _send(handler, int(code), {}, {"location": place})
        case ["tokens", count]:
            _send(handler, 200, {**GOOD, "usage": {**usage, "prompt_tokens": int(count)}})
        case ["say-key"]:
            key = str(handler.headers.get("authorization"))
            message = {"role": "assistant", "content": f"you are {key}"}
            _send(handler, 200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        case ["say-back"]:
            message = {"role": "assistant", "content": "me:hunter2 and hunter3"}
            _send(handler, 200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
        case ["packed"]:
            data = gzip.compress(json.dumps({**GOOD, "usage": usage}).encode())
            _send_bytes(handler, 200, data, {"content-encoding": "gzip"})
        case ["half"]:
            handler.send_response(200)
            handler.send_header("content-length", "4000")
            handler.end_headers()
            handler.wfile.write(b'{"choices": [{"mess')
        case ["empty"]:
            _send(handler, 200, {"choices": [], "usage": usage})
        case ["reasoning"]:
            message = {"role": "assistant", "content": None, "reasoning_content": "hm " * 50}
            _send(
                handler,
                200,
                {"choices": [{"index": 0, "message": message, "finish_reason": "length"}], "usage": usage},
            )
        case ["completion_tokens"]:
            _send(handler, 400, {"error": {"message": "use max_completion_tokens instead of max_tokens"}})


def _send(
    handler: BaseHTTPRequestHandler, status: int, body: Any, headers: dict[str, str] | None = None
) -> None:
    _send_bytes(handler, status, json.dumps(body).encode(), headers)


def _bomb(handler: BaseHTTPRequestHandler, kind: str) -> None:
    """An answer of 300 MB in a few hundred kilobytes, or one that says that it is packed in another way."""
    if kind == "gzip":
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        data = b"".join(packer.compress(b" " * 2**20) for _ in range(300)) + packer.flush()
    else:
        data = b"\x28\xb5\x2f\xfd" + b"\0" * 100
    _send_bytes(handler, 200, data, {"content-encoding": kind})


def _send_bytes(
    handler: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str] | None = None
) -> None:
    handler.send_response(status)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(data)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)

"""An HTTP client whose answers have an end: a size, a deadline for the whole of it, and no other address.

A server that sends the key on to another one, or an answer that unpacks to gigabytes or comes byte by byte,
costs one try.
"""

from __future__ import annotations

import queue
import threading
import time
import zlib
from contextlib import closing
from typing import Any

import openai

LARGEST_ANSWER = 8 * 2**20
"""Bytes of an answer, unpacked: some hundred times the longest that is asked for."""
TOO_LONG = f"the server's answer is longer than {LARGEST_ANSWER // 2**20} MiB"
PLAIN, PACKED = ("", "identity"), ("gzip", "x-gzip", "deflate")
SECONDS = 120.0
"""For a request that sets no time."""


class Unbounded(openai.APIConnectionError):
    """An answer that is too long, too late or cannot be unpacked."""

    def __init__(self, message: str, request: Any) -> None:
        super().__init__(message=message, request=request)


class BoundedClient(openai.DefaultHttpxClient):
    """Follows no redirect, and reads an answer of at most `LARGEST_ANSWER` bytes within a request's timeout,
    counted from its first byte sent to the last received."""

    def __init__(self, **settings: Any) -> None:
        headers = {"accept-encoding": "gzip, deflate"}
        super().__init__(follow_redirects=False, headers=headers, **settings)

    def send(self, request: Any, **options: Any) -> Any:
        """The whole answer. Raises Unbounded, and what the connection raises."""
        options |= {"stream": True, "follow_redirects": False}
        seconds = (request.extensions.get("timeout") or {}).get("read") or SECONDS
        until = time.monotonic() + seconds
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def exchange() -> None:
            try:
                answers.put(_whole(super(BoundedClient, self).send(request, **options), request, until))
            except BaseException as error:
                answers.put(error)

        # A daemon: a server that sends its headers byte by byte must hold nobody past the deadline.
        threading.Thread(target=exchange, name="ge-exchange", daemon=True).start()
        try:
            answer = answers.get(timeout=seconds)
        except queue.Empty:
            raise Unbounded(f"the server's answer was not there after {seconds:g} s", request) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer


def _whole(response: Any, request: Any, until: float) -> Any:
    """The answer with all of its body, unpacked."""
    with closing(response):
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > LARGEST_ANSWER:
                raise Unbounded(TOO_LONG, request)
            if time.monotonic() > until:
                raise Unbounded("the server's answer takes too long", request)
    kind = response.headers.get("content-encoding", "").strip().lower()
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_A_BODY]
    content = _unpacked(bytes(body), kind, request)
    return type(response)(response.status_code, headers=headers, content=content, request=request)


_OF_A_BODY = frozenset(("content-encoding", "content-length", "transfer-encoding"))


def _unpacked(body: bytes, kind: str, request: Any) -> bytes:
    if kind in PLAIN:
        return body
    if kind not in PACKED:
        raise Unbounded(f"the server's answer is packed as {kind[:20]!r}, which was not asked for", request)
    for form in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        try:
            reader = zlib.decompressobj(form)
            text = reader.decompress(body, LARGEST_ANSWER + 1)
        except zlib.error:
            continue
        if len(text) > LARGEST_ANSWER:
            raise Unbounded(TOO_LONG, request)
        return text
    raise Unbounded("the server's answer cannot be unpacked", request)

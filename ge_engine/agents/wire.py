"""Messages between the engine and its agents: JSON with bytes after it, over TCP, after both have shown that
they know the run's token.

Nothing is encrypted: what passes are a seed model's sources, training data and reports. A network in which
others listen wants a tunnel.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import struct
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

_LENGTH = struct.Struct(">I")
MESSAGE_LIMIT, BLOB_LIMIT = 256 * 2**20, 2**40
PART = 2**20
"""Bytes that are sent and read at once: each part is a sign of life, and no more of a message is copied."""
GREETING_LIMIT = 2**10
"""The most bytes of a message from somebody who has not shown the token yet."""
GREETING_SECONDS = 10.0
BYE_SECONDS = 1.0
NO_MESSAGE = (
    *(ValueError, KeyError, TypeError, AttributeError),
    *(IndexError, OverflowError, RecursionError),
)
"""What comes of reading something else than a message."""
LOST = (EOFError, ConnectionError, OSError, TimeoutError)
"""What a broken connection raises."""


class Stranger(Exception):
    """The other side does not know the token."""

    def __str__(self) -> str:
        return "it does not know the run's token"


@contextmanager
def well_formed() -> Iterator[None]:
    """Within, a message is read. Raises ConnectionError where it lacks something, or that is of another kind:
    who sent it does not speak as this side does."""
    try:
        yield
    except NO_MESSAGE as error:
        raise ConnectionError("something else than a message") from error


class Connection:
    """Messages over one stream, each with any number of byte strings after it. `heard_at` is when the other
    side last gave a sign of life, on the monotonic clock: bytes that came from it, or that it took."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._sending = asyncio.Lock()
        self.heard_at = time.monotonic()

    async def send(
        self, kind: str, content: Mapping[str, Any] | None = None, *blobs: bytes | memoryview
    ) -> None:
        """Send a message of `kind`. Raises one of `LOST`."""
        message = {**(content or {}), "kind": kind, "blobs": [memoryview(blob).nbytes for blob in blobs]}
        text = json.dumps(message).encode()
        async with self._sending:
            self._writer.write(_LENGTH.pack(len(text)) + text)
            await self._writer.drain()
            for blob in blobs:
                await self._send_in_parts(memoryview(blob).cast("B"))

    async def _send_in_parts(self, blob: memoryview) -> None:
        for start in range(0, len(blob), PART):
            self._writer.write(blob[start : start + PART])
            await self._writer.drain()
            self.heard_at = time.monotonic()

    async def receive(self, limit: int = MESSAGE_LIMIT) -> tuple[dict[str, Any], list[bytes]]:
        """The next message with its bytes. Raises one of `LOST`, also for what is no message."""
        (length,) = _LENGTH.unpack(await self._exactly(_LENGTH.size))
        if length > limit:
            raise ConnectionError("a message that is longer than any")
        text = await self._exactly(length)
        with well_formed():
            message = json.loads(text)
            most = BLOB_LIMIT if limit == MESSAGE_LIMIT else 0
            sizes = [_size(size, most) for size in message["blobs"]]
        return message, [await self._exactly(size) for size in sizes]

    async def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            parts.append(await self._reader.readexactly(min(size, PART)))
            size -= len(parts[-1])
            self.heard_at = time.monotonic()
        return b"".join(parts)

    def close(self) -> None:
        """End it when all is sent."""
        self._writer.close()

    def abort(self) -> None:
        """End it now: the other side may never take what was not sent yet."""
        self._writer.transport.abort()


async def beating(connection: Connection, beat: float) -> None:
    """Say every `beat` seconds that this side is there."""
    with suppress(*LOST):
        while True:
            await connection.send("beat")
            await asyncio.sleep(beat)


async def watching(connection: Connection, patience: float) -> None:
    """Abort the connection when the other side was not heard for `patience` seconds, in which this side was
    awake: what it slept through waits to be heard."""
    step = patience / 10
    while time.monotonic() - connection.heard_at < patience:
        before = time.monotonic()
        await asyncio.sleep(step)
        if time.monotonic() - before > step + patience / 2:
            connection.heard_at = time.monotonic()
    connection.abort()


@asynccontextmanager
async def signs_of_life(connection: Connection, beat: float, patience: float) -> AsyncIterator[None]:
    """Within, this side says every `beat` seconds that it is there, and the connection is aborted when the
    other was not heard for `patience` seconds."""
    around = [
        asyncio.create_task(beating(connection, beat)),
        asyncio.create_task(watching(connection, patience)),
    ]
    try:
        yield
    finally:
        for task in around:
            task.cancel()


async def dismiss(connection: Connection) -> None:
    """Tell an agent that it is needed no more, if it hears."""
    with suppress(*LOST):
        await asyncio.wait_for(connection.send("bye"), BYE_SECONDS)
        connection.close()
        return
    connection.abort()


async def challenge(connection: Connection, token: bytes) -> None:
    """Let the other side show that it knows the token, then show it.

    Raises:
        Stranger: it does not.
    """
    nonce = secrets.token_hex(32)
    await connection.send("challenge", {"nonce": nonce})
    answer = await _greeting(connection)
    if not _same(answer.get("proof"), _proof(token, "agent", nonce)):
        raise Stranger
    await connection.send("welcome", {"proof": _proof(token, "engine", str(answer.get("nonce")))})


async def introduce(connection: Connection, token: bytes) -> None:
    """Show the token to who challenges, and see that it knows it as well.

    Raises:
        Stranger: it does not.
    """
    asked, nonce = await _greeting(connection), secrets.token_hex(32)
    proof = _proof(token, "agent", str(asked.get("nonce")))
    await connection.send("answer", {"proof": proof, "nonce": nonce})
    answer = await _greeting(connection)
    if not _same(answer.get("proof"), _proof(token, "engine", nonce)):
        raise Stranger


async def _greeting(connection: Connection) -> Mapping[str, Any]:
    message, _ = await asyncio.wait_for(connection.receive(GREETING_LIMIT), GREETING_SECONDS)
    return message


def _size(value: object, most: int) -> int:
    """How many bytes come, at most `most`. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError("a number of bytes expected")
    return value


def _proof(token: bytes, role: str, nonce: str) -> str:
    """Of each role another, so that nobody can answer with what it was just told."""
    return hmac.digest(token, f"{role}:{nonce}".encode("utf-8", "replace"), "sha256").hex()


def _same(said: object, proof: str) -> bool:
    return hmac.compare_digest(str(said).encode("utf-8", "replace"), proof.encode())

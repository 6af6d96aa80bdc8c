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
from collections.abc import Mapping
from typing import Any

from ge_engine.evaluation.protocol import claims

_LENGTH = struct.Struct(">I")
MESSAGE_LIMIT, BLOB_LIMIT = 256 * 2**20, 2**40
GREETING_LIMIT = 2**10
"""The most bytes of a message from somebody who has not shown the token yet."""
GREETING_SECONDS = 10.0
LOST = (EOFError, ConnectionError, OSError, TimeoutError)
"""What a broken connection raises."""


class Stranger(Exception):
    """The other side does not know the token."""


class Connection:
    """Messages over one stream, each with any number of byte strings after it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._sending = asyncio.Lock()

    async def send(self, kind: str, content: Mapping[str, Any] | None = None, *blobs: bytes) -> None:
        """Send a message of `kind`. Raises one of `LOST`."""
        message = {**(content or {}), "kind": kind, "blobs": [len(blob) for blob in blobs]}
        text = json.dumps(message).encode()
        async with self._sending:
            self._writer.write(_LENGTH.pack(len(text)) + text)
            for blob in blobs:
                self._writer.write(blob)
            await self._writer.drain()

    async def receive(self, limit: int = MESSAGE_LIMIT) -> tuple[dict[str, Any], list[bytes]]:
        """The next message with its bytes. Raises one of `LOST`, also for what is no message."""
        (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
        if length > limit:
            raise ConnectionError("a message that is longer than any")
        try:
            message = json.loads(await self._reader.readexactly(length))
            most = BLOB_LIMIT if limit == MESSAGE_LIMIT else 0
            sizes = [claims.count(size, most) for size in message["blobs"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ConnectionError("something else than a message") from error
        return message, [await self._reader.readexactly(size) for size in sizes]

    def close(self) -> None:
        self._writer.close()


async def challenge(connection: Connection, token: bytes) -> None:
    """Let the other side show that it knows the token, then show it.

    Raises:
        Stranger: it does not.
    """
    nonce = secrets.token_hex(32)
    await connection.send("challenge", {"nonce": nonce})
    answer = await _greeting(connection)
    if not hmac.compare_digest(str(answer.get("proof")), _proof(token, "agent", nonce)):
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
    if not hmac.compare_digest(str(answer.get("proof")), _proof(token, "engine", nonce)):
        raise Stranger


async def _greeting(connection: Connection) -> Mapping[str, Any]:
    message, _ = await asyncio.wait_for(connection.receive(GREETING_LIMIT), GREETING_SECONDS)
    return message


def _proof(token: bytes, role: str, nonce: str) -> str:
    """Of each role another, so that nobody can answer with what it was just told."""
    return hmac.digest(token, f"{role}:{nonce}".encode(), "sha256").hex()

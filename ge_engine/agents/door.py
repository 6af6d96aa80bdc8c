"""Lets in who knows the session's token; of those who have not shown it there are never many."""

from __future__ import annotations

import asyncio
import secrets
import socket
from dataclasses import dataclass

from ge_engine.agents.address import Address
from ge_engine.agents.wire import GREETING_SECONDS, Connection, challenge, well_formed

STRANGERS = 64
"""Connections at once that have not shown the token; of more, the oldest goes."""


@dataclass(frozen=True, slots=True)
class Place:
    """The machine that an agent is on."""

    host: str
    processor: str


class Door:
    """Where agents come in: each shows a token that is made for this session."""

    def __init__(self) -> None:
        self._token = secrets.token_bytes(32)
        self._strangers: list[Connection] = []

    def address(self, host: str, listening: socket.socket) -> Address:
        """What agents need to come in; `host` is how they reach this machine."""
        return Address(host, listening.getsockname()[1], self._token.hex())

    async def admitted(self, connection: Connection) -> tuple[str, Place]:
        """An agent's name and where it is, as it tells them.

        Raises:
            Stranger: it does not know the token. One of `wire.LOST`: it is gone, or says nothing.
        """
        self._strangers.append(connection)
        if len(self._strangers) > STRANGERS:
            self._strangers[0].abort()
        try:
            await challenge(connection, self._token)
        finally:
            self._strangers.remove(connection)
        hello, _ = await asyncio.wait_for(connection.receive(), GREETING_SECONDS)
        with well_formed():
            return str(hello["agent"]), Place(str(hello["host"]), str(hello["processor"]))

    def close(self) -> None:
        """End the connections of strangers."""
        for stranger in self._strangers:
            stranger.abort()

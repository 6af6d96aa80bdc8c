"""An agent's life: it finds the engine of its run, serves it, and waits for the next where that is gone."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from ge_engine.agents.address import Address, read_address
from ge_engine.agents.wire import LOST, Connection, Stranger, introduce
from ge_engine.errors import ConfigError, GeError
from ge_engine.processor import processor_name

LINGER = 600.0
"""Seconds that an agent without an engine waits for one."""
RETRY_SECONDS = 2.0
STALE_SECONDS = 60.0
"""For how long a machine may show a shared folder as it was: NFS looks again after so long at most."""
REFUSED = 3
"""The exit status of an agent whose machine cannot serve the run."""
T = TypeVar("T")
ServeOne = Callable[[Connection, asyncio.Event], Awaitable[None]]
"""Serves one engine, until the event asks to leave. Raises Dismissed, Refused, or one of `wire.LOST`."""


class Dismissed(Exception):
    """The engine needs this agent no more."""


class Refused(Exception):
    """This machine cannot serve the session."""


class Served(Exception):
    """An engine was served, and is gone."""


async def opened(connection: Connection, name: str, kinds: Collection[str]) -> dict[str, Any]:
    """Say who this is; the engine's first message, of one of `kinds`. Raises Refused: it is of another, for
    agents of another sort; or one of `wire.LOST`."""
    machine = {"host": socket.gethostname(), "processor": processor_name()}
    await connection.send("hello", {"agent": name, **machine})
    opening, _ = await connection.receive()
    if opening["kind"] not in kinds:
        reason = "This agent was given the file of one for other work: take the command that the run told."
        await connection.send("refused", {"reason": reason})
        raise Refused(reason)
    return opening


async def or_refused(connection: Connection, work: Callable[[], T]) -> T:
    """What `work` gives, in a thread. Raises Refused where it fails: this machine cannot serve, and the
    engine is told why."""
    try:
        return await asyncio.to_thread(work)
    except Exception as error:
        reason = str(error) if isinstance(error, GeError) else f"{type(error).__name__}: {error}"
        await connection.send("refused", {"reason": reason})
        raise Refused(reason) from error


async def leaving(connection: Connection, leave: asyncio.Event) -> None:
    """Tell the engine when this agent is asked to leave."""
    await leave.wait()
    with suppress(*LOST):
        await connection.send("leaving")


class Agent:
    """Serves the engines of one run, one after another, each by `serve_one` over a connection that knows the
    token."""

    def __init__(self, file: Path, linger: float, serve_one: ServeOne) -> None:
        self._file, self._linger, self._serve_connected = file, linger, serve_one
        self._leave, self._found = asyncio.Event(), False
        self._missing_since = 0.0
        self._told = ""

    async def serve(self) -> int:
        """The exit status: 0 when dismissed or the run has ended, REFUSED, or 1 where no engine came within
        `linger` seconds."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._leave.set)
        alone_since = time.monotonic()
        while time.monotonic() - alone_since < self._linger and not self._leave.is_set():
            if self._is_missing():
                if (status := self._without_address()) is not None:
                    return status
                await asyncio.sleep(RETRY_SECONDS)
                continue
            try:
                await self._serve_one(read_address(self._file))
            except Dismissed:
                return 0
            except Refused as error:
                print(error, file=sys.stderr)
                return REFUSED
            except Served:
                alone_since = time.monotonic()
                await asyncio.sleep(RETRY_SECONDS)
            except (*LOST, ConfigError) as error:
                self._tell(str(error))
                await asyncio.sleep(RETRY_SECONDS)
        return 0 if self._leave.is_set() else 1

    def _tell(self, reason: str) -> None:
        """Say once why there is no engine."""
        if reason != self._told:
            print(reason, file=sys.stderr, flush=True)
            self._told = reason

    def _is_missing(self) -> bool:
        """Whether there is no such file. A shared folder that cannot be read just now has not lost it."""
        try:
            self._file.stat()
        except (FileNotFoundError, NotADirectoryError):
            self._missing_since = self._missing_since or time.monotonic()
            return True
        except OSError:
            pass  # who reads it tells
        self._missing_since, self._found = 0.0, True
        return False

    def _without_address(self) -> int | None:
        """The exit status where the file is gone, with which the run has ended, or where it does not come;
        None while a shared folder may only be shown as it was."""
        missing = time.monotonic() - self._missing_since
        if self._found:
            return 0 if missing >= RETRY_SECONDS else None
        self._tell(f"{self._file} is not on {socket.gethostname()}: it is in the run's folder.")
        return 1 if missing >= STALE_SECONDS else None

    async def _serve_one(self, address: Address) -> None:
        there = f"{address.host}, port {address.port}"
        try:
            reader, writer = await asyncio.open_connection(address.host, address.port)
        except (OSError, ValueError, OverflowError) as error:
            here = socket.gethostname()
            raise ConnectionError(f"The engine at {there}, cannot be reached from {here}: {error}") from error
        connection = Connection(reader, writer)
        try:
            try:
                await introduce(connection, bytes.fromhex(address.token))
            except (*LOST, Stranger) as error:
                why = str(error) or type(error).__name__
                raise ConnectionError(f"What listens at {there}, is not this run's engine: {why}") from error
            try:
                await self._serve_connected(connection, self._leave)
            except LOST as error:
                raise Served from error
        finally:
            connection.close()


def arguments_of(does: str, file: str) -> argparse.ArgumentParser:
    """The arguments that every agent takes: `contracts.AgentOrder`."""
    parser = argparse.ArgumentParser(prog="agent", description=does)
    parser.add_argument("file", type=Path, help=file)
    parser.add_argument(
        "--name", default="agent", help="what the engine calls this agent, with its own number"
    )
    parser.add_argument("--linger", type=float, default=LINGER, help="seconds to wait for an engine")
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        help="trainings at once, where the run does not say; 0: as many as fit",
    )
    return parser

"""The engine's side: it listens for agents in a thread of its own, and keeps each until it is gone."""

from __future__ import annotations

import asyncio
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ge_engine.agents.address import listening_on, write_address
from ge_engine.agents.door import Door, Place
from ge_engine.agents.pool_watch import PoolWatch, Served
from ge_engine.agents.wire import LOST, Connection, Stranger, dismiss, signs_of_life
from ge_engine.contracts import AgentPool
from ge_engine.errors import GeError

BEATS = 6
"""Signs of life within the patience that one has without any."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where an engine listens: `host` as agents reach it, and the file that tells them. Who gives no sign of
    life for `patience` seconds is lost."""

    host: str
    file: Path
    patience: float


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of an agent at a place, with the bytes after it, over a connection."""

    agent: str
    place: Place
    connection: Connection
    message: Mapping[str, Any]
    blobs: Sequence[bytes]


class AgentHead(ABC):
    """Keeps the agents of one session. `pool` starts them, and ends with it; `served` is their work,
    and `wanted` what a person is told is waited for."""

    wanted = "machines"

    def __init__(self, listening: Listening, pool: AgentPool, served: Served) -> None:
        self._listening, self._pool = listening, pool
        self._watch = PoolWatch(pool, served, self.wanted)
        self._connections: dict[str, Connection] = {}
        self._closing = False
        self._gave_up: Exception | None = None
        self._ending = False
        self._sending: set[asyncio.Task[None]] = set()
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._door = Door()
        self._stop = asyncio.Event()
        self._begun: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="ge-agents", daemon=True)

    def close(self) -> None:
        """Cancel what is left to do, and dismiss the agents."""
        with self._lock:
            if not self._closing:
                self._closing = True
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _begin(self) -> None:
        """Listen. Raises what keeps it from that."""
        self._thread.start()
        try:
            self._begun.result()
        except BaseException:
            self.close()
            raise

    # --- everything below runs in the head's own thread ---

    @abstractmethod
    def _opening(self) -> tuple[str, Mapping[str, Any]]:
        """The first message to an agent: its kind and content."""

    @abstractmethod
    async def _hear(self, heard: Heard) -> None:
        """Take a message of an agent. Raises one of `wire.LOST` for what is none."""

    @abstractmethod
    def _lose(self, agent: str) -> None:
        """An agent is gone."""

    @abstractmethod
    def _end_work(self) -> None:
        """Nobody works on what is left any more; `_gave_up` says why, where something went wrong."""

    def _keeping(self) -> list[Coroutine[Any, Any, None]]:
        """What goes on while it listens; where one of these fails, so does the head."""
        return [self._watch.keep()]

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:
            self._gave_up = error
        with self._lock:
            self._closing = True
        self._loop.run_until_complete(self._end_tasks())
        self._end_work()
        if not self._begun.done():
            self._begun.set_exception(self._gave_up or RuntimeError("it was closed"))
        self._loop.close()
        self._close_pool()

    def _close_pool(self) -> None:
        try:
            self._pool.close()
        except GeError as error:
            print(f"Agents may be left: {error.message} {error.hint}", file=sys.stderr)

    async def _end_tasks(self) -> None:
        """End what is left of connections; what was handed in until now is known by then."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._loop.shutdown_default_executor()

    async def _serve(self) -> None:
        listening = listening_on(self._listening.host)
        server = await asyncio.start_server(self._welcome, sock=listening)
        write_address(self._listening.file, self._door.address(self._listening.host, listening))
        self._begun.set_result(None)
        keeping = [asyncio.create_task(work) for work in self._keeping()]
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({*keeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for ended in filter(asyncio.Task.done, keeping):
                ended.result()
        finally:
            self._ending = True
            self._listening.file.unlink(missing_ok=True)
            server.close()
            await asyncio.gather(*map(dismiss, list(self._connections.values())))
            self._door.close()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        try:
            name, place = await self._door.admitted(connection)
            await self._accompany(name, place, connection)
        except (Stranger, *LOST):
            connection.abort()  # it is not known, or gone; what it had is lent again

    async def _accompany(self, agent: str, place: Place, connection: Connection) -> None:
        """Serve an agent until it is gone."""
        patience = self._listening.patience
        kind, content = self._opening()
        await connection.send(kind, {**content, "beat": patience / BEATS, "patience": patience})
        if agent in self._connections:  # it comes again, and the earlier connection is dead
            self._connections.pop(agent).abort()
            self._lose(agent)
        self._connections[agent] = connection
        async with signs_of_life(connection, patience / BEATS, patience):
            try:
                while True:
                    message, blobs = await connection.receive()
                    await self._hear(Heard(agent, place, connection, message, blobs))
            finally:
                connection.abort()
                if self._connections.get(agent) is connection:
                    del self._connections[agent]
                    self._lose(agent)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Have `work` done beside what is received. What fails in it ends the work of agents: nobody else
        would do it, and it would be waited for."""
        task = self._loop.create_task(work)
        self._sending.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._gave_up = self._gave_up or error
            self._stop.set()

"""An agent: `python -m ge_engine.evaluation.nodes.agent FILE` serves a run's jobs on this machine.

FILE is the run's `scratch/agents.json`, on a folder that the machines share or copied here. The agent has
the fork server, the sandbox and the limits that an engine has on its own machine. It ends when the run does,
and its file is gone; where it loses the engine it kills what it runs, and waits for one that resumes the run.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ge_engine.agents.own_memory import hide_memory
from ge_engine.agents.serving import Agent, Dismissed, arguments_of, leaving, opened, or_refused
from ge_engine.agents.wire import LOST, Connection, signs_of_life
from ge_engine.cache import cache_folder
from ge_engine.errors import ConfigError
from ge_engine.evaluation.executor import WorkerExit
from ge_engine.evaluation.exit_status import killed_for_memory
from ge_engine.evaluation.fork_server.client import ForkServerExecutor
from ge_engine.evaluation.machine_health import MachineHealth, machine_health
from ge_engine.evaluation.nodes.array_store import ArrayStore
from ge_engine.evaluation.nodes.machine import told_of_machine
from ge_engine.evaluation.nodes.remote_session import RemoteSession, remote_session, session_here
from ge_engine.evaluation.protocol.messages import JobSpec, job_from_json
from ge_engine.evaluation.sandbox.removal import remove_tree


class Serving:
    """One session with one engine, over one connection."""

    def __init__(
        self, connection: Connection, name: str, scratch: Path, workers: int, leave: asyncio.Event
    ) -> None:
        self._connection, self._name, self._scratch, self._leave = connection, name, scratch, leave
        self._workers = workers
        self._executor: ForkServerExecutor | None = None
        self._health: MachineHealth | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the engine says that it is enough.

        Raises:
            Dismissed: it does. Refused: this machine cannot serve it. One of `LOST`: the engine is gone.
        """
        opening = await opened(self._connection, self._name, ("session", "inspect"))
        async with signs_of_life(self._connection, float(opening["beat"]), float(opening["patience"])):
            if opening["kind"] == "inspect":
                await told_of_machine(self._connection, opening["session"], self._workers)
                raise Dismissed
            try:
                await self._serve(opening["session"])
            finally:
                for task in self._tasks:
                    task.cancel()
                if self._executor:
                    await asyncio.to_thread(self._executor.close)

    async def _serve(self, session: Mapping[str, Any]) -> None:
        remote = await or_refused(self._connection, partial(remote_session, session))
        arrays = await self._arrays(remote)
        slots = await or_refused(self._connection, partial(self._open, remote, arrays))
        await self._connection.send("ready", {"slots": slots})
        self._start(leaving(self._connection, self._leave))
        while True:
            await self._hear(*await self._connection.receive())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _open(self, remote: RemoteSession, arrays: Sequence[bytes]) -> int:
        """Start what runs the session's jobs; how many trainings at once."""
        session, placement = session_here(remote, self._scratch)
        (self._scratch / "jobs").mkdir(exist_ok=True)
        self._health = machine_health(self._scratch, session.device, session.processes)
        views = [memoryview(array) for array in arrays]
        slots = int(remote.asked["workers"] or self._workers or placement.slots)
        self._executor = ForkServerExecutor(session, views, slots, placement.devices, remote.limit)
        return slots

    async def _arrays(self, remote: RemoteSession) -> list[bytes]:
        """The session's arrays: what this machine has already, and the rest from the engine."""
        store = await or_refused(self._connection, lambda: ArrayStore(cache_folder() / "arrays"))
        known = {digest: await asyncio.to_thread(store.get, digest) for digest in remote.arrays}
        wanted = [digest for digest, content in known.items() if content is None]
        if wanted:
            await self._connection.send("wanted", {"arrays": wanted})
            blobs: list[bytes] = []
            while not blobs:
                _, blobs = await self._connection.receive()
            for digest, content in zip(wanted, blobs, strict=False):
                known[digest] = content
                await or_refused(self._connection, partial(_kept, store, digest, content))
        return [content for content in map(known.get, remote.arrays) if content is not None]

    async def _hear(self, message: dict[str, Any], blobs: Sequence[bytes]) -> None:
        if message["kind"] == "bye":
            raise Dismissed
        if message["kind"] == "job":
            spec = job_from_json(message["spec"].encode())
            self._start(self._work(message["lease"], spec, blobs[0]))

    async def _work(self, lease: str, spec: JobSpec, start: bytes) -> None:
        try:
            ended = await self._ended(lease, spec, start)
        except Exception as error:
            reason = f"{socket.gethostname()}: {type(error).__name__}: {error}"
            ended = WorkerExit(0, reason, b"", "", faulty=True)
        content = {"lease": lease, "status": ended.status, "reason": ended.reason, "log": ended.log}
        content |= {"faulty": ended.faulty, "shared": ended.shared}
        with suppress(*LOST):  # the engine is gone, which the receiving task sees
            await self._connection.send("exit", content, ended.result)

    async def _ended(self, lease: str, spec: JobSpec, start: bytes) -> WorkerExit:
        """How the job ended here. Raises whatever keeps it from being run."""
        assert self._executor is not None
        stored = self._scratch / f"{lease}.start"
        before = killed_for_memory()
        try:
            if start:
                await asyncio.to_thread(stored.write_bytes, start)
            here = replace(spec.started_from(str(stored) if start else ""), sent=time.monotonic())
            ended = await asyncio.wrap_future(self._executor.submit(here))
        finally:
            stored.unlink(missing_ok=True)
        return await asyncio.to_thread(self._judged, ended, before)

    def _judged(self, ended: WorkerExit, killed_before: int) -> WorkerExit:
        """What only this machine can say of how a worker ended: whether it was itself at fault."""
        if ended.status == -signal.SIGKILL and not ended.reason and killed_for_memory() > killed_before:
            return replace(ended, reason=f"{socket.gethostname()} ran out of memory and killed it")
        if self._health is None or b'"infrastructure"' not in ended.result:
            return ended
        return replace(ended, faulty=self._health.at_fault(ended.result.decode("utf-8", "replace")))


def _kept(store: ArrayStore, digest: str, content: bytes) -> None:
    with suppress(ConfigError, OSError):  # a machine without room for it asks again next time
        store.put(digest, content)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = arguments_of("Serve a run's jobs on this machine.", "the run's scratch/agents.json")
    given = parser.parse_args(arguments)
    if given.workers < 0 or given.linger < 0:
        parser.error("--workers and --linger are 0 or more.")
    scratch = Path(tempfile.mkdtemp(prefix="ge-agent-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    hide_memory(True)
    try:
        name = f"{given.name}-{secrets.token_hex(4)}"

        async def serve_one(connection: Connection, leave: asyncio.Event) -> None:
            await Serving(connection, name, scratch, given.workers, leave).run()

        return asyncio.run(Agent(given.file, given.linger, serve_one).serve())
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        remove_tree(scratch)


if __name__ == "__main__":
    sys.exit(main())

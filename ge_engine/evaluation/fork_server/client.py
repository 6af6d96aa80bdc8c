"""The engine's side of the nursery: queues orders, runs as many at once as there are slots, and reports
how each ended. The seam for other executors is `Executor`: an order in, a future of its ending out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import itertools
import json
import os
import selectors
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from ge_engine.errors import GeError
from ge_engine.evaluation.data.shared_arrays import sealed_memory
from ge_engine.evaluation.fork_server.launcher import ForkServerProcess
from ge_engine.evaluation.protocol.frames import receive_frame, send_frame
from ge_engine.evaluation.protocol.messages import JobSpec, SessionSpec, to_json

LOG_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class WorkerExit:
    """How a worker ended. `status` is its exit status, or minus the signal's number; `reason` is "",
    "timeout", "disk", "processes", "threads", "fork: ...", "spawn: ...", "result" (it wrote too much) or
    "nursery" (its parent died, twice); `result` the bytes on its result channel, `log` the two ends of what
    it printed."""

    status: int
    reason: str
    result: bytes
    log: str


class Executor(Protocol):
    """Runs orders somewhere. A future fails with GeError only when no order can be run at all."""

    def submit(self, spec: JobSpec) -> Future[WorkerExit]: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class _Work:
    spec: JobSpec
    future: Future[WorkerExit]
    deaths: int = 0
    devices: str = ""
    result_end: int = -1
    log_end: int = -1
    result: bytearray = field(default_factory=bytearray)
    overflow: bool = False
    log_head: bytearray = field(default_factory=bytearray)
    log_tail: bytearray = field(default_factory=bytearray)


class ForkServerExecutor:
    """Local processes: one warm nursery, `slots` trainings at once, one more for probes. Each training gets
    those of `devices` that the fewest others have.

    `arrays` are the bytes of `setup.blocks` in order. They go into sealed memory: no file, no name, and
    nobody can change them.
    """

    def __init__(
        self,
        session: SessionSpec,
        arrays: Sequence[memoryview],
        slots: int,
        devices: Sequence[str],
        result_limit: int,
    ) -> None:
        self._session = session
        self._files = [sealed_memory(array) for array in arrays]
        self._slots, self._devices, self._result_limit = slots, tuple(devices), result_limit
        self._queue: list[tuple[int, int, _Work]] = []
        self._counter = itertools.count()
        self._running: dict[str, _Work] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._loop, name="ge-executor", daemon=True)
        self._thread.start()

    def submit(self, spec: JobSpec) -> Future[WorkerExit]:
        """Queue `spec`; probes go before trainings."""
        work = _Work(spec, Future())
        with self._lock:
            if self._closing:
                raise RuntimeError("the executor is closed")
            self._enqueue(work)
        self._wake()
        return work.future

    def close(self) -> None:
        """Cancel what is queued, kill what runs, end the nursery."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self._wake()
        self._thread.join()
        for file in (*self._files, self._wake_read, self._wake_write):
            os.close(file)

    def _enqueue(self, work: _Work) -> None:
        urgency = 1 if work.spec.kind == "train" else 0
        heapq.heappush(self._queue, (urgency, next(self._counter), work))

    def _wake(self) -> None:
        os.write(self._wake_write, b"x")

    # --- everything below runs in the executor's own thread ---

    def _loop(self) -> None:
        nursery: ForkServerProcess | None = None
        try:
            while not self._closing:
                if nursery is None:
                    nursery = ForkServerProcess(self._session, self._files)
                    self._selector.register(nursery.socket, selectors.EVENT_READ, nursery)
                self._start_what_fits(nursery)
                if not self._turn(nursery):
                    self._selector.unregister(nursery.socket)
                    nursery.end()
                    nursery = None
                    self._after_death()
        except Exception as error:
            self._give_up(error)
        finally:
            if nursery is not None:
                self._selector.unregister(nursery.socket)
                nursery.end()
            for future in self._unfinished():
                if not future.cancel():
                    future.set_exception(GeError("The evaluation was closed."))

    def _turn(self, nursery: ForkServerProcess) -> bool:
        """Wait for something and handle it; False when the nursery is gone."""
        for key, _ in self._selector.select():
            if key.data is None:
                os.read(self._wake_read, 4096)
            elif key.data is nursery:
                try:
                    body, _ = receive_frame(nursery.socket)
                except (EOFError, ConnectionError):
                    return False
                self._hear(json.loads(body))
            elif key.data.spec.id in self._running:
                self._read(key.data, key.fd)
        return True

    def _start_what_fits(self, nursery: ForkServerProcess) -> None:
        with self._lock:
            while self._queue and self._fits(self._queue[0][2]):
                work = heapq.heappop(self._queue)[2]
                if work.deaths == 0 and not work.future.set_running_or_notify_cancel():
                    continue
                self._start(work, nursery)

    def _fits(self, work: _Work) -> bool:
        if work.deaths or any(other.deaths for other in self._running.values()):
            return not self._running
        limit = self._slots + (0 if work.spec.kind == "train" else 1)
        return len(self._running) < limit

    def _start(self, work: _Work, nursery: ForkServerProcess) -> None:
        work.result_end, result = os.pipe()
        work.log_end, log = os.pipe()
        token = _filled_pipe(bytes.fromhex(work.spec.token))
        for end in (work.result_end, work.log_end):
            os.set_blocking(end, False)
            self._selector.register(end, selectors.EVENT_READ, work)
        work.devices = self._free_devices() if work.spec.kind == "train" else ""
        self._running[work.spec.id] = work
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionError):  # its end is seen by the next turn
                spec = dataclasses.replace(work.spec, devices=work.devices, token="")
                send_frame(nursery.socket, to_json(spec), (result, log, token))
        finally:
            for sent in (result, log, token):
                os.close(sent)

    def _free_devices(self) -> str:
        taken = [other.devices for other in self._running.values()]
        return min(self._devices, key=taken.count, default="")

    def _read(self, work: _Work, end: int) -> None:
        """Take what there is on one of a worker's pipes, up to 1 MiB a turn."""
        for _ in range(16):
            if end not in (work.result_end, work.log_end):
                return
            try:
                part = os.read(end, 2**16)
            except BlockingIOError:
                return
            if part and end == work.log_end:
                _keep_ends(work, part)
            elif part:
                work.result += part
                work.overflow = len(work.result) > self._result_limit + work.spec.room
            if not part or work.overflow:
                self._close_end(work, end)

    def _close_end(self, work: _Work, end: int) -> None:
        self._selector.unregister(end)
        os.close(end)
        if end == work.result_end:
            work.result_end = -1
        else:
            work.log_end = -1

    def _hear(self, message: Mapping[str, Any]) -> None:
        if "status" not in message:
            return
        work = self._running.pop(message["id"])
        self._drain(work)
        reason = "result" if work.overflow else message["reason"]
        work.future.set_result(WorkerExit(message["status"], reason, bytes(work.result), _log(work)))

    def _drain(self, work: _Work) -> None:
        """Read what a dead worker left in its pipes (they hold less than 1 MiB) and close them."""
        for end in (work.result_end, work.log_end):
            if end >= 0:
                self._read(work, end)
        for end in (work.result_end, work.log_end):
            if end >= 0:
                self._close_end(work, end)

    def _after_death(self) -> None:
        """Try again, alone, what ran when the nursery died; what kills it alone is to blame."""
        died, self._running = list(self._running.values()), {}
        for work in died:
            self._drain(work)
            work.deaths += 1
            if work.deaths == 2:
                work.future.set_result(WorkerExit(0, "nursery", b"", _log(work)))
            else:
                work.spec = dataclasses.replace(work.spec, id=f"{work.spec.id}-again")
                work.result, work.overflow = bytearray(), False
                with self._lock:
                    self._enqueue(work)

    def _give_up(self, error: Exception) -> None:
        """Everybody who waits is told why, also those whose order was never begun."""
        for future in self._unfinished():
            if future.running() or future.set_running_or_notify_cancel():
                future.set_exception(error)

    def _unfinished(self) -> list[Future[WorkerExit]]:
        """The futures that wait still, of orders that nobody works on any more; no new ones are taken."""
        with self._lock:
            self._closing = True
            waiting = [work for _, _, work in self._queue] + list(self._running.values())
            self._queue.clear()
        for work in waiting:
            if work.spec.id in self._running:
                self._drain(self._running.pop(work.spec.id))
        return [work.future for work in waiting if not work.future.done()]


def _filled_pipe(content: bytes) -> int:
    """The end of a pipe in which `content` waits, in no process's memory, to be read once."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return reading


def _keep_ends(work: _Work, part: bytes) -> None:
    room = LOG_BYTES - len(work.log_head)
    work.log_head += part[:room] if room > 0 else b""
    work.log_tail += part[max(room, 0) :]
    del work.log_tail[:-LOG_BYTES]


def _log(work: _Work) -> str:
    gap = b"\n[...]\n" if len(work.log_tail) == LOG_BYTES else b""
    return (work.log_head + gap + work.log_tail).decode("utf-8", "replace")

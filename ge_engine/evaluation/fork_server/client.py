"""The engine's side of the fork server: queues jobs, runs as many as there are slots, tells their ends."""

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
from dataclasses import dataclass
from typing import Any

from ge_engine.errors import GeError
from ge_engine.evaluation.data.shared_arrays import sealed_memory
from ge_engine.evaluation.executor import WorkerExit
from ge_engine.evaluation.fork_server.launcher import ForkServerProcess
from ge_engine.evaluation.fork_server.worker_output import WorkerOutput
from ge_engine.evaluation.protocol.frames import receive_frame, send_frame
from ge_engine.evaluation.protocol.messages import JobSpec, SessionSpec, to_json


@dataclass(slots=True)
class _Submitted:
    spec: JobSpec
    future: Future[WorkerExit]
    deaths: int = 0
    devices: str = ""
    shared: bool = False

    @property
    def trains(self) -> bool:
        return self.spec.kind == "train"


class ForkServerExecutor:
    """Local processes: one fork server, `slots` trainings at once, one more for probes. Each training gets
    those of `devices` that the fewest others have.

    `arrays` are the bytes of `session.arrays` in order. They go into sealed memory: no file, no name, and
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
        self._queue: list[tuple[int, int, _Submitted]] = []
        self._counter = itertools.count()
        self._running: dict[str, tuple[_Submitted, WorkerOutput]] = {}
        self._lock = threading.Lock()
        self._closing = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._loop, name="ge-executor", daemon=True)
        self._thread.start()

    def submit(self, spec: JobSpec) -> Future[WorkerExit]:
        """Queue `spec`; probes go before trainings."""
        job = _Submitted(spec, Future())
        with self._lock:
            if self._closing:
                raise RuntimeError("the executor is closed")
            self._enqueue(job)
            self._wake()
        return job.future

    def at_once(self) -> int:
        return self._slots

    def close(self) -> None:
        """Cancel what is queued, kill what runs, end the fork server."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
        self._wake()
        self._thread.join()
        for file in (*self._files, self._wake_read, self._wake_write):
            os.close(file)

    def _enqueue(self, job: _Submitted) -> None:
        heapq.heappush(self._queue, (1 if job.trains else 0, next(self._counter), job))

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is awake
            os.write(self._wake_write, b"x")

    # --- everything below runs in the executor's own thread ---

    def _loop(self) -> None:
        server: ForkServerProcess | None = None
        try:
            while not self._closing:
                if server is None:
                    server = ForkServerProcess(self._session, self._files)
                    self._selector.register(server.socket, selectors.EVENT_READ, server)
                self._start_what_fits(server)
                if not self._turn(server):
                    self._selector.unregister(server.socket)
                    server.end()
                    server = None
                    self._after_death()
        except Exception as error:
            self._give_up(error)
        finally:
            if server is not None:
                self._selector.unregister(server.socket)
                server.end()
            for future in self._unfinished():
                if not future.cancel():
                    future.set_exception(GeError("The evaluation was closed."))

    def _turn(self, server: ForkServerProcess) -> bool:
        """Wait for something and handle it; False when the fork server is gone."""
        for key, _ in self._selector.select():
            if key.data is None:
                os.read(self._wake_read, 4096)
            elif key.data is server:
                try:
                    body, _ = receive_frame(server.socket)
                except (EOFError, ConnectionError):
                    return False
                self._hear(json.loads(body))
            else:
                key.data.read(key.fd)
        return True

    def _start_what_fits(self, server: ForkServerProcess) -> None:
        with self._lock:
            while self._queue and self._fits(self._queue[0][2]):
                job = heapq.heappop(self._queue)[2]
                if job.deaths == 0 and not job.future.set_running_or_notify_cancel():
                    continue
                self._start(job, server)

    def _fits(self, job: _Submitted) -> bool:
        if job.deaths or any(other.deaths for other, _ in self._running.values()):
            return not self._running
        if len(self._running) >= self._slots + (0 if job.trains else 1):
            return False
        return not job.trains or self._devices_for(job) is not None

    def _start(self, job: _Submitted, server: ForkServerProcess) -> None:
        output = WorkerOutput(self._selector, self._result_limit + job.spec.room + job.spec.weights)
        token = _filled_pipe(bytes.fromhex(job.spec.token))
        job.devices = (self._devices_for(job) or "") if job.trains else ""
        beside = [
            other for other, _ in self._running.values() if job.devices and other.devices == job.devices
        ]
        job.shared = bool(beside)
        for other in beside:
            other.shared = True
        self._running[job.spec.id] = job, output
        theirs = (*output.theirs, token)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionError):  # its end is seen by the next turn
                spec = dataclasses.replace(job.spec, devices=job.devices, token="")
                send_frame(server.socket, to_json(spec), theirs)
        finally:
            for end in theirs:
                os.close(end)

    def _devices_for(self, job: _Submitted) -> str | None:
        """The devices that the fewest trainings have, "" on a CPU; None where the job is to be alone on some
        and none are free, or another is alone on all."""
        if not self._devices:
            return ""
        running = [other for other, _ in self._running.values()]
        taken = [other.devices for other in running]
        kept = {other.devices for other in running if other.spec.alone}
        kept |= set(taken) if job.spec.alone else set()
        return min((one for one in self._devices if one not in kept), key=taken.count, default=None)

    def _hear(self, message: Mapping[str, Any]) -> None:
        if "status" not in message:
            return
        job, output = self._running.pop(message["id"])
        ended = output.ended(message["status"], message["reason"])
        job.future.set_result(dataclasses.replace(ended, shared=job.shared))

    def _after_death(self) -> None:
        """Try again, alone, what ran when the fork server died; what kills it alone is to blame."""
        died, self._running = list(self._running.values()), {}
        for job, output in died:
            output.drain()
            job.deaths += 1
            if job.deaths == 2:
                job.future.set_result(WorkerExit(0, "fork server", b"", ""))
            else:
                job.spec = dataclasses.replace(job.spec, id=f"{job.spec.id}-again")
                with self._lock:
                    self._enqueue(job)

    def _give_up(self, error: Exception) -> None:
        """Tell all that wait why, also those whose job was never begun."""
        for future in self._unfinished():
            if future.running() or future.set_running_or_notify_cancel():
                future.set_exception(error)

    def _unfinished(self) -> list[Future[WorkerExit]]:
        """The futures of jobs that nobody works on any more and that still wait; no new ones are taken."""
        with self._lock:
            self._closing = True
            waiting = [job for _, _, job in self._queue]
            self._queue.clear()
        for job, output in self._running.values():
            output.drain()
            waiting.append(job)
        self._running.clear()
        return [job.future for job in waiting if not job.future.done()]


def _filled_pipe(content: bytes) -> int:
    """The end of a pipe in which `content` waits, in no process's memory, to be read once."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    return reading

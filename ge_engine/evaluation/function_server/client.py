"""The engine's side: starts the server, again where it died or its files changed, and has it make calls."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from ge_engine.evaluation.function_server.loading import Stamps, stamps
from ge_engine.evaluation.programs import GRACE_SECONDS, Launch, ProgramLost, RunningProgram, end, started
from ge_engine.evaluation.protocol.frames import receive_frame, send_frame
from ge_engine.evaluation.sandbox.removal import remove_tree


class ServerProcess:
    """One server: its process and its calls. `folder` is its own; `seconds` is the time it may load for."""

    calls_ended = False
    """Whether one of its calls has come to an end."""

    def __init__(
        self, launch: Launch, target: str, candidate: str, memory: int, folder: Path, seconds: float
    ) -> None:
        self._environment = _lasting(launch)
        self._folder, self._seconds = folder, seconds
        for name in ("tmp", "home"):
            (folder / name).mkdir(parents=True)
        places = {"TMPDIR": str(folder / "tmp"), "HOME": str(folder / "home")}
        self._lock = threading.Lock()
        self._calls: dict[int, tuple[Future[int], Future[int]]] = {}
        self._count = 0
        self._files: Stamps = {}
        own = str(launch.folder) in launch.workdir
        self._sock, theirs = socket.socketpair()
        with theirs, (folder / "out").open("w+b") as out, (folder / "err").open("w+b") as err:
            words = [sys.executable, "-P", "-m", "ge_engine.evaluation.function_server"]
            self.process = subprocess.Popen(
                started([*words, str(theirs.fileno()), target, str(folder / candidate)], memory),
                pass_fds=[theirs.fileno()],
                cwd=folder / "tmp" if own else launch.workdir,
                env={**launch.environment, **places},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, name="ge-function", daemon=True)

    def await_ready(self) -> str:
        """Why it cannot serve; "" when it can."""
        self._sock.settimeout(self._seconds)
        try:
            body, _ = receive_frame(self._sock)
        except TimeoutError:
            return f"loading it once takes more than {self._seconds:g} s"
        except (EOFError, ConnectionError):
            return "loading it once ends the process"
        self._sock.settimeout(None)
        answer: Mapping[str, Any] = json.loads(body)
        self._files = {path: tuple(stamp) for path, stamp in answer["files"].items()}
        if not answer["refused"]:
            self._reader.start()
        return str(answer["refused"])

    def serves(self, launch: Launch) -> bool:
        """Whether it still is what would be started now: its files and the variables are as they were."""
        same = stamps(iter(self._files)) == self._files
        return same and _lasting(launch) == self._environment

    @property
    def gone(self) -> bool:
        return self.process.poll() is not None

    def call(self, launch: Launch, arguments: Sequence[str], ends: Sequence[int]) -> RunningProgram:
        """Begin a call. Raises ProgramLost; OSError where the system allows no further process."""
        pid, status = Future[int](), Future[int]()
        with self._lock:
            self._count += 1
            number = self._count
            self._calls[number] = pid, status
            message = {"id": number, "arguments": arguments, "workdir": launch.workdir}
            self._send({**message, "environment": launch.environment}, ends)
        return _ForkedCall(self, number, pid.result(), status)

    def signal(self, number: int, which: int) -> None:
        """Send a signal to a call that may have ended."""
        with self._lock, suppress(ProgramLost):
            self._send({"id": number, "signal": which})

    @property
    def busy(self) -> bool:
        """Whether it makes calls."""
        return bool(self._calls)

    def close(self) -> None:
        """End it, and all that it runs."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE_SECONDS)
        end(self.process)
        if self._reader.is_alive():
            self._reader.join()
        self._sock.close()
        remove_tree(self._folder)

    def _send(self, message: Mapping[str, object], ends: Sequence[int] = ()) -> None:
        try:
            send_frame(self._sock, json.dumps(message).encode(), ends)
        except OSError as error:
            raise ProgramLost from error

    def _read(self) -> None:
        """Tell each call what the server says of it, and all that are left that it is gone."""
        with suppress(EOFError, OSError):
            while True:
                message = json.loads(receive_frame(self._sock)[0])
                self._hear(message)
        with self._lock:
            left, self._calls = list(self._calls.values()), {}
        for future in (future for pair in left for future in pair if not future.done()):
            future.set_exception(ProgramLost())

    def _hear(self, message: Mapping[str, Any]) -> None:
        with self._lock:
            pid, status = self._calls[message["id"]]
            if "pid" not in message:
                del self._calls[message["id"]]
        if "pid" in message:
            pid.set_result(message["pid"])
        elif "failed" in message:
            pid.set_exception(OSError(message["failed"]))
        else:
            self.calls_ended = True
            status.set_result(message["status"])


class _ForkedCall(RunningProgram):
    def __init__(self, server: ServerProcess, number: int, pid: int, status: Future[int]) -> None:
        self._server, self._number, self.pid, self._status = server, number, pid, status

    def wait(self, seconds: float) -> int:
        """Raises ProgramLost as well: the server has ended before."""
        return self._status.result(seconds)

    def end(self) -> None:
        for which in (signal.SIGTERM, signal.SIGKILL):
            if self._status.done():
                return
            self._server.signal(self._number, which)
            with suppress(TimeoutError, ProgramLost):
                self._status.result(GRACE_SECONDS)


def _lasting(launch: Launch) -> dict[str, str]:
    """The variables that are the same for each evaluation."""
    return {name: value for name, value in launch.environment.items() if name not in ("TMPDIR", "HOME")}

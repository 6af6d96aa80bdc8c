"""The server's side: forks for each call, tells how it ended, and ends with the engine.

It runs the user's own module and no generated code. Of a call two processes are forked: one that waits for
the other and ends all that it has started (`sandbox.program.watched`), and that other, which makes the call.
Frames from the engine are a call with the descriptors of its output, or a signal for one that runs. The
answers are {"id", "pid"} and {"id", "status"}, or {"id", "failed"} where the system allows no further
process.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ge_engine.evaluation.protocol.frames import receive_frame, send_frame
from ge_engine.evaluation.sandbox import landlock
from ge_engine.evaluation.sandbox.process_tree import kill_children, kill_group
from ge_engine.evaluation.sandbox.program import watched


@dataclass(frozen=True, slots=True)
class Call:
    """What a fork is to do: the arguments of `function.main`, the folder to do it in, and its variables."""

    arguments: list[str]
    workdir: str
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Running:
    id: int
    pid: int
    handle: int
    """A descriptor that can be read when the process `pid` has ended."""


class FunctionServer:
    """Serves an engine over `sock`. Each call's output begins with what loading has `said`, of stdout and of
    stderr."""

    def __init__(self, sock: socket.socket, said: tuple[bytes, bytes]) -> None:
        self._sock, self._said = sock, said
        self._running: dict[int, _Running] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ)

    def serve(self) -> Call | None:
        """In a fork, the call to make; None when the engine is gone, and nothing runs any more."""
        with suppress(EOFError, ConnectionError):
            while True:
                for key, _ in self._selector.select():
                    if key.fd == self._sock.fileno():
                        call = self._hear()
                        if call is not None:
                            return call
                    else:
                        self._reap(key.data)
        for one in self._running.values():
            kill_group(one.pid)
        kill_children(keep=frozenset())
        return None

    def _hear(self) -> Call | None:
        body, ends = receive_frame(self._sock)
        message: Mapping[str, Any] = json.loads(body)
        if "signal" in message:
            self._send_signal(message["id"], message["signal"])
            return None
        try:
            return self._fork(message, ends)
        except OSError as error:
            self._tell(id=message["id"], failed=error.strerror)
            return None
        finally:
            for end in ends:
                os.close(end)

    def _fork(self, message: Mapping[str, Any], ends: list[int]) -> Call | None:
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._leave(ends)
            watched(server)
            landlock.hold_signals()
            return Call(message["arguments"], message["workdir"], message["environment"])
        handle = os.pidfd_open(pid)
        one = self._running[message["id"]] = _Running(message["id"], pid, handle)
        self._selector.register(handle, selectors.EVENT_READ, one)
        self._tell(id=one.id, pid=pid)
        return None

    def _leave(self, ends: list[int]) -> None:
        """Become a process of its own, with output of its own, and none of the server's descriptors."""
        os.setsid()
        self._selector.close()
        self._sock.close()
        for one in self._running.values():
            os.close(one.handle)
        for number, end, said in zip((1, 2), ends, self._said, strict=True):
            os.dup2(end, number)
            os.write(number, said)

    def _send_signal(self, id_: int, number: int) -> None:
        """To a call's group where it is SIGKILL, else to the process that watches it."""
        one = self._running.get(id_)
        if one is not None and number == signal.SIGKILL:
            kill_group(one.pid)
        elif one is not None:
            os.kill(one.pid, number)

    def _reap(self, one: _Running) -> None:
        """A call has ended: what is left of its group and of what it started is killed before it is told."""
        del self._running[one.id]
        self._selector.unregister(one.handle)
        os.close(one.handle)
        kill_group(one.pid)
        _, status = os.waitpid(one.pid, 0)
        kill_children(keep=frozenset(other.pid for other in self._running.values()))
        self._tell(id=one.id, status=os.waitstatus_to_exitcode(status))

    def _tell(self, **message: object) -> None:
        send_frame(self._sock, json.dumps(message).encode())

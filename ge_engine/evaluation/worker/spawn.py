"""Start a worker as a new Python process instead of a fork: `python -m ge_engine.evaluation.worker.spawned`.

A fork of a process that has loaded torch is safe on Linux. On macOS it is not: Apple's libraries below
torch and numpy may crash in the child, which is why multiprocessing spawns there as well
(https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods).
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

from ge_engine.evaluation.protocol.frames import receive_frame, send_frame

START_SECONDS = 120.0
"""Seconds within which a new process imports torch, also on a busy machine."""


def chosen_start_method(asked: str) -> str:
    """How workers begin here: "fork" on Linux, "spawn" elsewhere, unless one of them is asked for."""
    return asked if asked != "auto" else "fork" if sys.platform == "linux" else "spawn"


def spawn(rank: int, frames: Sequence[tuple[bytes, Sequence[int]]]) -> tuple[int, socket.socket]:
    """Start a process that runs `worker.spawned`: its id, and the socket on which it sends a frame when it is
    ready. `frames` are the session with its files, and the job with what the process of `rank` writes to.

    Raises:
        OSError: the system allows no further process.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.set_inheritable(True)
        command = [
            sys.executable,
            "-P",
            "-m",
            "ge_engine.evaluation.worker.spawned",
            str(theirs.fileno()),
            str(rank),
        ]
        try:
            # OpenBLAS with threads of its own would keep this process out of a network namespace.
            pid = os.posix_spawn(sys.executable, command, {**os.environ, "OPENBLAS_NUM_THREADS": "1"})
        except OSError:
            ours.close()
            raise
    with suppress(ConnectionError):  # one that has ended already is reaped, and told by its status
        for body, descriptors in frames:
            send_frame(ours, body, descriptors)
    return pid, ours


def await_ready(sock: socket.socket) -> None:
    """Wait until a spawned process is ready.

    Raises:
        OSError: it ended before, or took too long.
    """
    with sock:
        sock.settimeout(START_SECONDS)
        try:
            receive_frame(sock)
        except EOFError as error:
            raise OSError("a process that trains along ended before it began") from error

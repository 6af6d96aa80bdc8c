"""Calls of a function as forks of a server, which is started when it is needed, and again when it is not what
it would be now."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import BinaryIO

from ge_engine.evaluation.function_server.client import ServerProcess
from ge_engine.evaluation.programs import Launch, ProgramLost, RunningProgram, Starter
from ge_engine.evaluation.sandbox.removal import remove_tree
from ge_engine.evaluation.sandbox.started_processes import StartedProcesses

CALL = (sys.executable, "-m", "ge_engine.evaluation.function")
"""How a command begins that calls a function; see that module for the words that follow."""
MOST_DEATHS = 3
"""Servers in a row that end by themselves before a call has."""


class Forks(Starter):
    """Calls of the function `target`, with `memory` bytes of data each. A server is given `seconds` to load
    it; `candidate` is the name of candidates' files, `scratch` where servers have their folders. What an
    earlier engine has left there is ended."""

    def __init__(self, target: str, candidate: str, memory: int, seconds: float, scratch: Path) -> None:
        self._target, self._candidate, self._memory, self._seconds = target, candidate, memory, seconds
        self._folder = scratch / "loaded"
        self._processes = StartedProcesses(scratch / "servers")
        remove_tree(self._folder)
        self._lock = threading.Lock()
        self._servers: list[ServerProcess] = []
        self._serving: ServerProcess | None = None
        self._refused: tuple[ServerProcess, str] | None = None
        self._count = self._deaths = 0
        self._told = self._closed = False

    def start(self, launch: Launch, stdout: BinaryIO, stderr: BinaryIO) -> RunningProgram:
        """Begin the call that the words of `launch` say. Its `wait` may raise ProgramLost.

        Raises:
            ProgramLost: there is no server for it.
            OSError: the system allows no further process.
        """
        with self._lock:
            if self._closed:
                raise ProgramLost
            server = self._server(launch)
        return server.call(launch, launch.command[len(CALL) :], (stdout.fileno(), stderr.fileno()))

    def close(self) -> None:
        """End all servers, one that loads as well, and all calls."""
        self._closed = True
        for server in tuple(self._servers):
            self._end(server)
        remove_tree(self._folder)

    def tell_refusal(self) -> None:
        """Tell the user once why calls are no forks, where none are."""
        if self._refused and not self._told:
            self._told = True
            name = os.path.basename(self._target)
            print(f"Each call of {name} starts a Python of its own: {self._refused[1]}.", file=sys.stderr)

    def _server(self, launch: Launch) -> ServerProcess:
        serving = self._serving
        if serving is not None and serving.gone:
            self._deaths = 0 if serving.calls_ended else self._deaths + 1
            self._end(serving)
            serving = self._serving = None
        if serving is not None and serving.serves(launch):
            return serving
        if self._refused and self._refused[0].serves(launch):
            raise ProgramLost
        self._serving = None
        for idle in [one for one in self._servers if not one.busy]:
            self._end(idle)
        self._serving = self._started(launch)
        return self._serving

    def _started(self, launch: Launch) -> ServerProcess:
        self._count += 1
        place = self._folder / str(self._count)
        server = ServerProcess(launch, self._target, self._candidate, self._memory, place, self._seconds)
        self._servers.append(server)
        self._processes.add(server.process.pid)
        refused = "" if self._closed else server.await_ready()
        if self._deaths == MOST_DEATHS:
            refused = f"the process that has loaded it ended by itself {MOST_DEATHS} times"
        if refused or self._closed:
            self._refused = (server, refused) if refused else None
            self._end(server)
            raise ProgramLost
        self._refused = None
        return server

    def _end(self, server: ServerProcess) -> None:
        server.close()
        self._processes.discard(server.process.pid)
        if server in self._servers:
            self._servers.remove(server)

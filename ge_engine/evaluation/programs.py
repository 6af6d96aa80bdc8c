"""Programs of the user's as they run: what one is started with, how it is waited for, and how it ends.

Each is a process with a session, limits and a scratch folder of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ge_engine.evaluation.sandbox.bubblewrap import around, below, socket_folders, sockets
from ge_engine.evaluation.sandbox.limits import LINUX
from ge_engine.evaluation.sandbox.program import behind_filter

GRACE_SECONDS = 2.0
"""Time in which a program that is to end may end what it has started."""


class ProgramLost(Exception):
    """A way to start programs is not there, or has ended before the program did: nobody knows what would have
    come of it. It is to be started in another way."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What one program is started with: its words, the folder that is its own, the one that it runs in, its
    variables, and the folders that it is to see in bubblewrap."""

    command: Sequence[str]
    folder: Path
    workdir: str
    environment: Mapping[str, str]
    places: Sequence[str] = ()


class RunningProgram(ABC):
    """A program that was started. `pid` leads its group."""

    pid: int

    @abstractmethod
    def wait(self, seconds: float) -> int:
        """Its exit status, negative for a signal.

        Raises:
            TimeoutError: it still runs.
            ProgramLost: so.
        """

    @abstractmethod
    def end(self) -> None:
        """End it with all that it started, and its group where it does not. Any thread may call it, also when
        it has ended."""


class Starter(ABC):
    """A way to start programs."""

    @abstractmethod
    def start(self, launch: Launch, stdout: BinaryIO, stderr: BinaryIO) -> RunningProgram:
        """Start a program that writes to these files.

        Raises:
            OSError: the system does not allow it.
            ProgramLost: so.
        """


@dataclass(frozen=True, slots=True)
class NewProcesses(Starter):
    """Each program is begun anew, with `memory` bytes of data, `confined` in bubblewrap or not."""

    memory: int
    confined: bool

    def start(self, launch: Launch, stdout: BinaryIO, stderr: BinaryIO) -> RunningProgram:
        command = (
            confined(launch.command, launch.folder, self.memory, launch.places, launch.workdir)
            if self.confined
            else started(launch.command, self.memory)
        )
        process = subprocess.Popen(
            command,
            cwd=launch.workdir,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=launch.environment,
            start_new_session=True,
        )
        return _NewProcess(process, self.confined)


class _NewProcess(RunningProgram):
    def __init__(self, process: subprocess.Popen[bytes], confined: bool) -> None:
        self._process, self._confined, self.pid = process, confined, process.pid

    def wait(self, seconds: float) -> int:
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error
        return 128 - status if self._confined and status > 128 else status  # so bubblewrap tells of a signal

    def end(self) -> None:
        end(self._process)


def started(command: Sequence[str], memory: int) -> list[str]:
    """`command` as the user's own program, with `memory` bytes of data (Linux), which reaches no process but
    those that it starts."""
    return behind_filter("none", memory, list(command)) if LINUX else list(command)


def confined(
    command: Sequence[str], folder: Path, memory: int, places: Iterable[str] = (), workdir: str = ""
) -> list[str]:
    """`command` in bubblewrap, with `memory` bytes of data, in the folder `workdir`. Of what lies in folders
    that are hidden for the sockets in them, it sees `places`, Python and its packages, and what it names
    itself."""
    inside = behind_filter("bwrap", memory, list(command))
    workdir = workdir or os.getcwd()
    named = [place for word in command for place in (word, os.path.dirname(word)) if os.path.isabs(word)]
    named += [*places, workdir, *program_places().split(os.pathsep), *sys.path]
    named += [sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), str(folder)]
    folders = socket_folders()
    seen = [place for place in named if below(place, folders) and os.path.exists(place)]
    seen = [place for place in seen if not Path(place).is_socket()]
    return around(["/", *seen], [str(folder)], workdir, inside, [*folders, *sockets(seen)])


def program_places() -> str:
    """The PATH of programs: this Python's folder first."""
    return os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)))


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program with all that it started, and its group where it does not."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

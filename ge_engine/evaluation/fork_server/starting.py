"""A fork server's process, which imports what it needs and waits for its session."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Protocol

from ge_engine.evaluation.sandbox.bubblewrap import around
from ge_engine.evaluation.sandbox.environment import clean_environment
from ge_engine.evaluation.sandbox.folding import folded
from ge_engine.evaluation.sandbox.process_tree import kill_group

END_SECONDS = 10.0
SET_BY_IMPORTS = ("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK")
"""What scikit-learn sets when it is imported, of no effect on a server that began before."""


class Place(Protocol):
    """What a process that runs candidates is confined by, and where: fields of `SessionSpec`."""

    @property
    def sandbox(self) -> str: ...
    @property
    def scratch(self) -> str: ...
    @property
    def places(self) -> Sequence[str]: ...
    @property
    def hidden(self) -> Sequence[str]: ...
    @property
    def start_method(self) -> str: ...


class StartingServer:
    """The process and the socket to it, in an environment without secrets. It has `imports` when it takes its
    session."""

    def __init__(self, place: Place, imports: Sequence[str] = ()) -> None:
        self.scratch = place.scratch
        self._beginning = _beginning(place)
        self.socket, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile(dir=place.scratch)  # noqa: SIM115
        with theirs:
            self._process = subprocess.Popen(
                inside(place, command(theirs.fileno(), *imports)),
                pass_fds=[theirs.fileno()],
                env=_environment(place),
                cwd=place.scratch,
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                start_new_session=True,
            )

    def begun_as(self, place: Place) -> bool:
        """Whether one for `place` would begin with the same command and environment."""
        return self._beginning == _beginning(place)

    def runs(self) -> bool:
        return self._process.poll() is None

    def last_words(self) -> str:
        """What one that has ended by itself said last."""
        self._process.wait()
        self._errors.seek(0)
        return (self._errors.read().decode(errors="replace").strip().splitlines()[-1:] or ["no message"])[0]

    def end(self) -> None:
        """Close the socket; the fork server then kills its workers and ends."""
        self.socket.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._errors.close()

    def kill(self) -> None:
        """End one that has no workers at once, and what it began: bubblewrap that is killed as it begins
        leaves a process of its own, which waits for it."""
        self.socket.close()
        kill_group(self._process.pid)
        self._process.wait()
        self._errors.close()


def command(descriptor: int, *imports: str) -> list[str]:
    return [sys.executable, "-P", "-m", "ge_engine.evaluation.fork_server", str(descriptor), *imports]


def inside(place: Place, command: Sequence[str]) -> list[str]:
    """`command` in bubblewrap where that is the sandbox; else as it is."""
    if place.sandbox != "bwrap":
        return list(command)
    readable, hidden = folded([*place.places, place.scratch], place.hidden)
    return around(readable, [_jobs(place)], place.scratch, command, hidden)


def _beginning(place: Place) -> tuple[list[str], dict[str, str]]:
    environment = _environment(place)
    for name in SET_BY_IMPORTS:
        environment.pop(name, None)
    return inside(place, command(0)), environment


def _environment(place: Place) -> dict[str, str]:
    return clean_environment() | {"TMPDIR": _jobs(place)}


def _jobs(place: Place) -> str:
    return os.path.join(place.scratch, "jobs")

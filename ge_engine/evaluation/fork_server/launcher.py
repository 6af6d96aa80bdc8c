"""Start the fork server, in an environment without secrets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from ge_engine.errors import GeError
from ge_engine.evaluation.protocol.frames import receive_frame, send_frame
from ge_engine.evaluation.protocol.messages import SessionSpec, to_json
from ge_engine.evaluation.sandbox.bubblewrap import around
from ge_engine.evaluation.sandbox.environment import clean_environment
from ge_engine.evaluation.sandbox.folding import folded


class ForkServerProcess:
    """The fork server's process and the socket to it.

    Raises:
        GeError: it does not start.
    """

    def __init__(self, session: SessionSpec, files: Sequence[int]) -> None:
        self.socket, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile(dir=session.scratch)  # noqa: SIM115
        with theirs:
            self._process = subprocess.Popen(
                _command(session, theirs.fileno()),
                pass_fds=[theirs.fileno()],
                env=clean_environment() | {"TMPDIR": os.path.join(session.scratch, "jobs")},
                cwd=session.scratch,
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                start_new_session=True,
            )
        try:
            send_frame(self.socket, to_json(session), files)
            receive_frame(self.socket)
        except (EOFError, ConnectionError) as error:
            self._process.wait()
            self._errors.seek(0)
            last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            raise GeError(
                f"The process that runs candidates did not start: {last[0]}",
                "Run `ge doctor`; `python -m ge_engine.evaluation.fork_server` must be importable.",
            ) from error

    def end(self) -> None:
        """Close the socket; the fork server then kills its workers and ends."""
        self.socket.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


def _command(session: SessionSpec, descriptor: int) -> list[str]:
    server = "ge_engine.evaluation.fork_server"
    return inside(session, [sys.executable, "-P", "-m", server, str(descriptor)])


def inside(session: SessionSpec, command: Sequence[str]) -> list[str]:
    """`command` in bubblewrap where that is the session's sandbox; else as it is."""
    if session.sandbox != "bwrap":
        return list(command)
    jobs = os.path.join(session.scratch, "jobs")
    places, hidden = folded([*session.places, session.scratch], session.hidden)
    return around(places, [jobs], session.scratch, command, hidden)

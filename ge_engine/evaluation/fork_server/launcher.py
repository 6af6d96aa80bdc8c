"""Give a fork server its session."""

from __future__ import annotations

from collections.abc import Sequence

from ge_engine.errors import GeError
from ge_engine.evaluation.fork_server.ahead import server_for
from ge_engine.evaluation.protocol.frames import receive_frame, send_frame
from ge_engine.evaluation.protocol.messages import SessionSpec, to_json


class ForkServerProcess:
    """A fork server that serves one session, and the socket to it.

    Raises:
        GeError: it does not start.
    """

    def __init__(self, session: SessionSpec, files: Sequence[int]) -> None:
        self._server = server_for(session)
        self.socket = self._server.socket
        try:
            send_frame(self.socket, to_json(session), files)
            receive_frame(self.socket)
        except (EOFError, ConnectionError) as error:
            raise GeError(
                f"The process that runs candidates did not start: {self._server.last_words()}",
                "Run `ge doctor`; `python -m ge_engine.evaluation.fork_server` must be importable.",
            ) from error

    def end(self) -> None:
        """Close the socket; the fork server then kills its workers and ends."""
        self._server.end()

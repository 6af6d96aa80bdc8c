"""A fork server that is started before its session is known: it imports torch while the data is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ge_engine.evaluation.data.module_loader import WARM
from ge_engine.evaluation.fork_server.starting import Place, StartingServer

_waiting: list[StartingServer] = []
"""Those of this process that nobody has taken yet."""


@contextmanager
def started_ahead(place: Place) -> Iterator[None]:
    """Within, the first fork server for this `place` has begun already. Killed at the end where nobody took
    it."""
    Path(place.scratch, "jobs").mkdir(parents=True, exist_ok=True)
    server = StartingServer(place, WARM if place.start_method == "fork" else ())
    _waiting.append(server)
    try:
        yield
    finally:
        if server in _waiting:
            _waiting.remove(server)
            server.kill()


def server_for(place: Place) -> StartingServer:
    """One that was started ahead, if it began as one for `place` would now; else a new one."""
    for one in _waiting:
        if one.begun_as(place):
            _waiting.remove(one)
            return one
    return StartingServer(place)

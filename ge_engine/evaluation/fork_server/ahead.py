"""A fork server that is started before its session is known: it imports torch while the data is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ge_engine.evaluation.data.module_loader import WARM
from ge_engine.evaluation.fork_server.starting import Place, StartingServer
from ge_engine.evaluation.sandbox.removal import empty_folder

_waiting: list[StartingServer] = []
"""Those of this process that nobody has taken yet."""


@contextmanager
def started_ahead(place: Place) -> Iterator[None]:
    """Within, the first fork server for this `place` has begun already. Killed at the end where nobody took
    it, and its folder of jobs removed."""
    jobs = Path(place.scratch, "jobs")
    empty_folder(jobs)
    server = StartingServer(place, WARM if place.start_method == "fork" else ())
    _waiting.append(server)
    try:
        yield
    finally:
        if server in _waiting:
            _waiting.remove(server)
            server.kill()
            with suppress(OSError):
                jobs.rmdir()


def server_for(place: Place) -> StartingServer:
    """The one that was started ahead there, if it runs and began as one for `place` would now. Else it is
    killed, and this is a new one."""
    for one in [one for one in _waiting if one.scratch == place.scratch]:
        _waiting.remove(one)
        if one.begun_as(place) and one.runs():
            return one
        one.kill()
    return StartingServer(place)

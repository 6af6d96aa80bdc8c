"""Guards that hold a plugin to what it promised: no input or output, no global random numbers."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

FORBIDDEN = (
    "open",
    "socket.",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.listdir",
    "os.putenv",
    "sqlite3.connect",
    "urllib.Request",
)


class _Watch:
    """An audit hook cannot be taken away again, so one stays and listens only while it is asked to."""

    def __init__(self) -> None:
        self._installed = False
        self._thread: int | None = None
        self.events: list[str] = []

    def start(self) -> None:
        if not self._installed:
            sys.addaudithook(self._hear)
            self._installed = True
        self.events = []
        self._thread = threading.get_ident()

    def stop(self) -> None:
        self._thread = None

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self._thread is not None and event.startswith(FORBIDDEN) and threading.get_ident() == self._thread:
            self.events.append(f"{event} {args[0]!r}" if args else event)


_WATCH = _Watch()


@contextmanager
def no_io() -> Iterator[None]:
    """Fails when this thread opens a file, a socket or a process meanwhile."""
    _WATCH.start()
    try:
        yield
    finally:
        _WATCH.stop()
    assert not _WATCH.events, f"it does input or output: {_WATCH.events[:3]}"


@contextmanager
def no_global_randomness() -> Iterator[None]:
    """Fails when the generators of `random`, numpy or torch are used meanwhile."""
    before = _states()
    yield
    assert before == _states(), "it draws from a global random generator; draw from the `rng` it is given"


def _states() -> list[bytes]:
    states = [repr(random.getstate()).encode(), repr(np.random.get_state()).encode()]
    torch = sys.modules.get("torch")
    if torch is not None:
        states.append(torch.get_rng_state().numpy().tobytes())
    return states


def assert_is_a_name(name: object) -> None:
    """A name that a person can type as a flag's value."""
    assert isinstance(name, str)
    assert name, "the name is empty"
    assert name.isprintable(), f"{name!r} cannot be printed"
    assert name == name.strip(), f"{name!r} begins or ends with a space"
    assert not set(name) & set(":,="), f"{name!r} holds a character that separates names from arguments"

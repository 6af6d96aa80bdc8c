"""The ways in which a machine can confine a candidate, strongest first, and how to have each here.

"landlock alone" and "filter alone" are what is left where the system forbids namespaces, as in a container.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ge_engine.evaluation.fork_server import starting
from ge_engine.evaluation.sandbox.bubblewrap import around, why_not
from ge_engine.evaluation.sandbox.landlock import landlock_version

ROOT = Path(__file__).parents[2]
MODES = (
    *["bwrap"] * (not why_not()),
    *["landlock", "landlock alone"] * (landlock_version() > 0),
    "filter alone",
    "none",
)
_SETTLE_APART = """\
from ge_engine.evaluation.sandbox import limits, namespaces
raise SystemExit(not limits.succeeds(namespaces.settle_apart))
"""


def _apart_in_bubblewrap() -> bool:
    """Whether candidates in it have process namespaces of their own: the administrator's have none."""
    command = around(["/"], [], str(ROOT), [sys.executable, "-c", _SETTLE_APART])
    return not why_not() and subprocess.run(command, check=False).returncode == 0


APART = ("landlock", *["bwrap"] * _apart_in_bubblewrap())
"""The modes in which a worker has a process namespace of its own."""
ROOM = 300 * 2**20
"""Bytes that a candidate may store here: more than one file can hold."""
_WITHOUT_NAMESPACES = """\
import os, sys
from ge_engine.evaluation.sandbox import seccomp
rules = {**seccomp.OTHERS, "clone": seccomp.WITHIN["clone"]}
assert seccomp.hold(seccomp.of_program(rules, seccomp.NAMESPACES))
os.execv(sys.argv[1], sys.argv[1:])
"""


@contextmanager
def confined_by(mode: str) -> Iterator[str]:
    """While this is open, an evaluation with the sandbox that it yields confines by `mode`."""
    name, _, alone = mode.partition(" ")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starting, "command", _without_namespaces if alone else _with_little_room)
        if name == "filter":
            patch.setattr("ge_engine.evaluation.on_machine.chosen_sandbox", lambda asked: "network")
        yield "auto" if name == "filter" else name


_begun = starting.command
_LITTLE_ROOM = f"""\
import gc
gc.disable()
from ge_engine.evaluation.fork_server import running, server
running.FOLDER_BYTES = {ROOM}
server.main()
"""


def _with_little_room(descriptor: int, *imports: str) -> list[str]:
    """Who stores too much need not store much, and be quick at it."""
    command = _begun(descriptor, *imports)
    at = command.index("-m")
    return [*command[:at], "-c", _LITTLE_ROOM, *command[at + 2 :]]


def _without_namespaces(descriptor: int, *imports: str) -> list[str]:
    return [sys.executable, "-P", "-c", _WITHOUT_NAMESPACES, *_with_little_room(descriptor, *imports)]

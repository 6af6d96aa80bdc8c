"""What a worker and a program of the user's are held by: process namespaces, /proc, sockets, capabilities."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ge_engine.evaluation.sandbox import bubblewrap, confinement, seccomp
from ge_engine.evaluation.sandbox.environment import clean_environment
from ge_engine.evaluation.sandbox.landlock import landlock_version
from ge_engine.evaluation.sandbox.process_tree import descendants
from ge_engine.evaluation.train_evaluation import TrainEvaluation
from ge_engine.outcome import Scored
from tests.evaluation import genome, outcome_of, shop
from tests.hostile.modes import MODES, confined_by
from tests.patience import PATIENT
from tests.sampled import everyday
from tests.test_command import opened, result

in_force = cache(confinement.in_force)
"""Tried once, and only where a test asks."""
SETTLED = """\
import os, sys, time
from ge_engine.evaluation.sandbox import namespaces
apart = namespaces.settle_apart()
print(apart, os.getpid(), os.getppid(), sorted(p for p in os.listdir("/proc") if p.isdigit())[:2], flush=True)
sys.exit(7) if sys.argv[1] == "exit" else time.sleep(60)
"""
PROGRAM = """\
import ctypes, json, os, resource, socket, subprocess, sys
from multiprocessing import get_context
libc = ctypes.CDLL(None, use_errno=True)
agent, elsewhere, engine = sys.argv[2], sys.argv[3], int(sys.argv[4])
def connect(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(path)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
ATTEMPTS = [
    lambda: connect(agent),
    lambda: connect(elsewhere),
    lambda: resource.prlimit(engine, resource.RLIMIT_CORE, (0, 0)),
    lambda: call("ptrace", 16, engine, 0, 0),
    lambda: os.kill(engine, 0),
    lambda: os.setpriority(os.PRIO_PROCESS, engine, 19),
    lambda: call("unshare", 0x1000_0000),
    lambda: call("mount", b"none", b"/", None, 0x21, None),
]
said = []
for attempt in ATTEMPTS:
    try:
        attempt()
        said.append("done")
    except (PermissionError, ProcessLookupError, FileNotFoundError, ConnectionRefusedError) as error:
        said.append("refused")
with get_context("fork").Pool(2) as pool:
    said.append(str(pool.map(abs, [-1, 2])))
said.append(str([name for name in os.environ if "AUTH" in name or "BUS" in name]))
left, right = socket.socketpair()
child = subprocess.Popen(["sleep", "60"])
child.kill()
said.append(str(child.wait()))
print(json.dumps({"accuracy": 0.5, "parameters": 1, "feedback": " ".join(said)}))
"""


CAPABILITIES = """\
with open("/proc/self/status") as status:
    held = [line for line in status if line.startswith("Cap") and int(line.split()[1], 16)]
if held:
    raise RuntimeError(f"capabilities are left: {held}")
"""


@pytest.fixture(scope="module")
def confined(mode: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainEvaluation]:
    """An evaluation whose candidates are confined by `mode` and train in two processes."""
    settings: dict[str, Any] = {"processes_per_candidate": 2, "workers": 1, "timeout": 60.0}
    scratch = tmp_path_factory.mktemp("confined")
    with confined_by(mode) as sandbox, shop(scratch, sandbox=sandbox, **settings) as evaluation:
        yield evaluation


EACH_MODE = pytest.mark.parametrize("mode", everyday(MODES, MODES[0]), scope="module")
EACH_SANDBOX = pytest.mark.parametrize(
    "mode", everyday([mode for mode in MODES if mode != "none"], MODES[0]), scope="module"
)


@EACH_MODE
def test_a_capability_that_a_candidate_keeps(confined: TrainEvaluation) -> None:
    """Effective, permitted, inheritable, ambient or in its bounds, the engine run by root or not."""
    probe = confined.probe(genome(top=CAPABILITIES)).result()
    assert not probe.error


@EACH_MODE
def test_processes_that_train_together_and_are_confined_too_much(confined: TrainEvaluation) -> None:
    """Without namespaces as well, where only the first process may read about itself in /proc."""
    outcome = outcome_of(confined, genome())
    assert isinstance(outcome, Scored), outcome


@EACH_SANDBOX
def test_a_candidate_that_is_not_alone(mode: str, confined: TrainEvaluation) -> None:
    """In a namespace it is the second process, and knows no parent."""
    tell = "raise ValueError(f'{os.getpid()} {os.getppid()}')"
    reason = str(confined.probe(genome(top="import os", forward=tell)).result(PATIENT).error)
    if mode == "landlock" and "processes" in in_force():
        assert "2 0" in reason
    elif mode != "bwrap":
        assert "2 0" not in reason


def settled(word: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SETTLED, word], stdout=subprocess.PIPE, text=True)


def test_an_end_that_is_told_as_another() -> None:
    """The process that waits for the first one of a namespace ends as that one does."""
    with settled("exit") as outer:
        said = outer.communicate(timeout=PATIENT)[0].split()
    assert outer.returncode == 7
    assert said[0] == str("processes" in in_force())
    assert (said[1] == "1") == (said[2] == "0") == ("processes" in in_force())


def test_a_process_that_outlives_the_one_that_waits_for_it() -> None:
    with settled("sleep") as outer:
        assert outer.stdout is not None
        said = outer.stdout.readline().split()
        inner = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        outer.kill()
        outer.wait(PATIENT)
        deadline = time.monotonic() + PATIENT
        while any(Path("/proc", pid).exists() for pid in inner) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(inner) == (said[0] == "True")
        assert not any(Path("/proc", pid).exists() for pid in inner)


def test_a_crowd_that_is_counted_wrong() -> None:
    command = ["sh", "-c", "sleep 60 & setsid sh -c 'sleep 60 & sleep 60 & wait' & wait"]
    with subprocess.Popen(command, start_new_session=True) as shell:
        deadline = time.monotonic() + PATIENT
        while descendants([shell.pid]) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert descendants([shell.pid]) == 4
        for pid in found(shell.pid):
            with suppress(ProcessLookupError):  # it ended with the one before
                os.kill(pid, signal.SIGKILL)


def found(parent: int) -> list[int]:
    children = [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return [*(pid for child in children for pid in found(child)), *children, parent]


@pytest.mark.parametrize("sandbox", ["none", *["bwrap"] * (not bubblewrap.why_not())])
def test_a_program_of_the_users_that_reaches_an_agent_or_the_engine(
    sandbox: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bubblewrap no socket is left, neither beside the program nor elsewhere; without it, its sockets and
    namespaces are its own affair. Both keep their processes and their pools."""
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/bus")
    (tmp_path / "job.py").write_text(PROGRAM)
    with (
        tempfile.TemporaryDirectory() as elsewhere,
        socket.socket(socket.AF_UNIX) as beside,
        socket.socket(socket.AF_UNIX) as away,
    ):
        for one, path in ((beside, tmp_path / "agent"), (away, Path(elsewhere, "agent"))):
            one.bind(str(path))
            one.listen()
        command = f"python {tmp_path}/job.py {{path}} {tmp_path}/agent {elsewhere}/agent {os.getpid()}"
        with opened(tmp_path, "command", command, 60, sandbox) as evaluation:
            outcome = result(evaluation, genome())
        heard = [listens(one) for one in (beside, away)]
    assert isinstance(outcome, Scored), outcome
    said = outcome.details["feedback"].split()
    assert said[2:4] == ["refused"] * 2
    assert said[5] == "refused"
    assert said[4] == ("refused" if sandbox == "bwrap" or landlock_version() >= 6 else "done")
    if sandbox == "bwrap":
        assert (said[:2], said[6:8], heard) == (["refused"] * 2, ["refused"] * 2, [False, False])
    assert said[8:] == ["[1,", "2]", "[]", "-9"]


def listens(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        one.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_an_agent_in_the_environment_of_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "SSH_AUTH_SOCK",
        "DBUS_SESSION_BUS_ADDRESS",
        "TMUX",
        "XDG_RUNTIME_DIR",
        "DOCKER_HOST",
        "DISPLAY",
    ):
        monkeypatch.setenv(name, "/run/agent")
    assert "/run/agent" not in clean_environment().values()


def test_a_filter_that_is_not_there_where_it_is_said_to_be() -> None:
    assert ("filter" in in_force()) == bool(seccomp.of_candidate(seccomp.WITHIN))

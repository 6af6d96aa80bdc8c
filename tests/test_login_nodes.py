"""Login nodes: limits below ours, terminals that close, engines that are killed while programs run."""

# ruff: noqa: E501

from __future__ import annotations

import os
import pty
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ge_engine.evaluation.sandbox.started_processes import StartedProcesses, identity
from tests.patience import PATIENT
from tests.sampled import everyday
from tests.test_command import SCRIPT

SLEEPS = """\
import os, subprocess, sys, time
open(os.path.join(os.path.dirname(sys.argv[0]), f"sleeper {os.getpid()}"), "w").close()
if "again" not in sys.argv:
    subprocess.Popen([sys.executable, *sys.argv, "again"], start_new_session="apart" in sys.argv)
time.sleep(3600)
"""
NET = """\
from torch import nn

class Net(nn.Module):
    def forward(self, x):
        return x
"""


def lowered(which: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(which, (value, value))


@pytest.mark.parametrize(
    ("which", "value"),
    [(resource.RLIMIT_CPU, 500), (resource.RLIMIT_FSIZE, 2**27), (resource.RLIMIT_DATA, 2**33)],
)
def test_a_limit_of_the_user_that_is_raised(which: int, value: int) -> None:
    lines = (
        "import resource, sys\n"
        "from ge_engine.evaluation.sandbox import limits\n"
        "limits.set_limits(memory=2**34, cpu_seconds=1e6, file_bytes=2**32, cuda=True)\n"
        "limits.limit_program(2**34)\n"
        "print(*resource.getrlimit(int(sys.argv[1])))\n"
    )
    command = [sys.executable, "-c", lines, str(which)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, preexec_fn=lowered(which, value)
    )
    assert done.stdout.split() == [str(value)] * 2


def test_a_limit_above_ours_that_stays() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    done = subprocess.run(
        [sys.executable, "-c", "from ge_engine.evaluation.sandbox import limits as l; import resource as r\n"
         "l.lower(r.RLIMIT_NOFILE, 100, 200); print(*r.getrlimit(r.RLIMIT_NOFILE))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["100", "200"]
    assert before[0] > 100


def test_a_program_that_a_small_file_limit_keeps_from_beginning(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(SCRIPT)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    lines = (
        "import sys; from pathlib import Path; from tests.test_command import opened, result, genome\n"
        "with opened(Path(sys.argv[1]), 'command', f'python {sys.argv[1]}/job.py {{path}} {{split}} {{seed}}') as e:\n"
        "    print(type(result(e, genome())).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", lines, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
        preexec_fn=lowered(resource.RLIMIT_FSIZE, 2**20),
    )
    assert done.stdout.split() == ["Scored"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before


def sleepers(folder: Path) -> set[int]:
    """The programs that sleep, and still do."""
    numbers = {int(file.name.split()[1]) for file in folder.glob("sleeper *")}
    return {number for number in numbers if Path(f"/proc/{number}/fd").exists() and _runs(number)}


def _runs(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def waited(true: Callable[[], bool]) -> bool:
    """Whether it becomes true."""
    until = time.monotonic() + PATIENT
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def sleeping(tmp_path: Path) -> Iterator[list[str]]:
    """A run whose program sleeps, with a child."""
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "sleep.py").write_text(SLEEPS)
    run = [
        sys.executable,
        "-m",
        "ge_engine.cli",
        "evolve",
        str(tmp_path / "net.py"),
        "--llm",
        "uniform",
        "--no-canary",
    ]
    command = f"python {tmp_path / 'sleep.py'} {{path}}"
    yield [
        *run,
        "--objectives",
        "accuracy",
        "--timeout",
        "3000",
        "--run",
        str(tmp_path / "run"),
        "--command",
        command,
    ]
    for left in sleepers(tmp_path):
        os.kill(left, signal.SIGKILL)


def hear_hangups() -> None:
    """As from a shell, also where these tests run under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize("apart", ["", " apart"], ids=["one group", "a session of its own"])
@pytest.mark.parametrize(
    "number",
    everyday([signal.SIGKILL, signal.SIGHUP, signal.SIGTERM], signal.SIGKILL),
)
def test_programs_that_run_on_when_the_engine_is_gone(
    tmp_path: Path, sleeping: list[str], number: signal.Signals, apart: str
) -> None:
    sleeping[-1] += apart
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(sleeping, preexec_fn=hear_hangups, **quiet) as engine:
        try:
            assert waited(lambda: len(sleepers(tmp_path)) == 2)
            engine.send_signal(number)
            if number != signal.SIGKILL:
                time.sleep(0.2)
                engine.send_signal(number)
            engine.wait(PATIENT)
        finally:
            engine.kill()
    assert waited(lambda: not sleepers(tmp_path))


def test_programs_that_run_on_when_their_terminal_closes(tmp_path: Path, sleeping: list[str]) -> None:
    shell, engine = pty.fork()
    if shell == 0:
        hear_hangups()
        os.execv(sleeping[0], sleeping)
    assert waited(lambda: len(sleepers(tmp_path)) == 2)
    os.close(engine)  # SIGHUP, while the baseline is awaited: without it there is nothing to end cleanly
    assert os.waitstatus_to_exitcode(os.waitpid(shell, 0)[1]) == 130
    assert waited(lambda: not sleepers(tmp_path))


def test_a_program_of_an_engine_that_is_gone_and_of_which_a_second_copy_begins(tmp_path: Path) -> None:
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
    StartedProcesses(tmp_path).add(left.pid)
    (tmp_path / str(other.pid)).write_text("another boot 1234")
    try:
        StartedProcesses(tmp_path)
        assert left.wait(PATIENT) == -signal.SIGKILL
        assert other.poll() is None, "a process that has got the number of one that is gone was killed"
        assert not list(tmp_path.iterdir())
    finally:
        other.kill()
        other.wait()
    with pytest.raises(OSError):
        identity(left.pid)

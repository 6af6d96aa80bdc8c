"""Runs on agents of a real SLURM cluster, and what may befall them; `make slurm` makes the cluster.

Its nodes n1 and n2 make the partition main, n3 is a machine with another version of ge_engine.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ge_engine.contracts import AgentExecutor
from ge_engine.ledger.history import History
from ge_engine.testing import ExecutorContract
from ge_plugins.slurm import SlurmExecutor

pytestmark = pytest.mark.slurm

ROOT = Path(__file__).parent.parent
SEED = ROOT / "examples" / "plain_cnn.py"
SETTINGS = ("--llm", "uniform", "--generations", "2", "--population", "8", "--epochs", "1")
TINY = (*SETTINGS, "--train-limit", "256", "--rescore-seeds", "0")
PATIENT = 900.0
"""Seconds: a bound against waiting for ever."""


@contextmanager
def started(*words: object) -> Iterator[subprocess.Popen[str]]:
    """The command `ge` as a process of its own, which is gone afterwards."""
    command = [sys.executable, "-P", "-m", "ge_engine.cli", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=PATIENT)
    return process.returncode, " ".join(output.split())


def evolving(run: Path, executor: str, *more: object) -> tuple[object, ...]:
    return ("evolve", SEED, *TINY, "--executor", executor, "--run", run, *more)


def wait_for(reached: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENT
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.1)


def until(reached: Callable[[], Any], process: subprocess.Popen[str]) -> Any:
    """What `reached` gives once it is something. Fails where the engine ends before."""
    found: list[Any] = []

    def looked() -> bool:
        assert process.poll() is None, process.communicate()[0]
        found[:] = [reached()]
        return bool(found[0])

    wait_for(looked)
    return found[0]


def scores(run: Path) -> int:
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"file:{run}/ledger.sqlite?mode=ro", uri=True)) as db,
    ):
        return int(db.execute("SELECT count(*) FROM scores").fetchone()[0])
    return 0


def asked(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def jobs(*options: str) -> dict[str, str]:
    """The state of each job of an agent by its id; of those that ended too with `--states=all`."""
    rows = [
        line.split("|") for line in asked("squeue", "--noheader", "--format=%i|%T|%j", *options).splitlines()
    ]
    return {number: state for number, state, name in rows if name.startswith("ge-agent-")}


def running() -> list[str]:
    return sorted((one for one, state in jobs().items() if state == "RUNNING"), key=int)


def process_of(job: str) -> int:
    """The process of the agent that a job is, by the name that its script gives it."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if f"slurm-{job}" in words and "slurmstepd" in Path(f"/proc/{parent}/comm").read_text():
                return int(folder.name)
    return 0


def content(run: Path) -> dict[str, Any]:
    with History(run) as history:
        return history.content()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the run comes to on this machine alone."""
    run = tmp_path_factory.mktemp("whole") / "run"
    with started(*evolving(run, "local")) as process:
        code, output = ended(process)
    assert code == 0, output
    return content(run)


def require_no_jobs() -> None:
    """What was cancelled is gone after a moment."""
    wait_for(lambda: not jobs())


def require_equal(run: Path, whole: dict[str, Any]) -> None:
    found = content(run)
    assert len(found["individuals"]) == 17
    for table, rows in whole.items():
        assert found[table] == rows, table


class TestSlurm(ExecutorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def executor(cls) -> AgentExecutor:
        return SlurmExecutor()


def test_a_run_on_a_cluster_that_differs_or_leaves_jobs_behind(tmp_path: Path, whole: dict[str, Any]) -> None:
    run, before = tmp_path / "run", jobs("--states=all")
    with started(*evolving(run, "slurm:agents=2")) as process:
        code, output = ended(process)
    assert code == 0, output
    require_equal(run, whole)
    require_no_jobs()
    after = jobs("--states=all")
    assert {after[one] for one in after.keys() - before.keys()} <= {"COMPLETED", "CANCELLED"}


def process_signal(number: signal.Signals) -> Callable[[str], None]:
    return lambda job: os.kill(process_of(job), number)


FAULTS: tuple[Callable[[str], Any], ...] = (
    lambda job: asked("scancel", job),
    process_signal(signal.SIGKILL),
    process_signal(signal.SIGSTOP),
)


def test_agents_that_are_lost_with_their_trainings_or_score_twice(
    tmp_path: Path, whole: dict[str, Any]
) -> None:
    """One is cancelled, one killed, and one stopped for so long that the engine gives it up."""
    run, hit = tmp_path / "run", set[str]()
    with started(*evolving(run, "slurm:agents=2")) as process:
        for number, fault in enumerate(FAULTS):
            until(lambda least=2 + 4 * number: scores(run) >= least, process)
            (job, *_) = until(
                lambda: [one for one in running() if one not in hit and process_of(one)], process
            )
            hit.add(job)
            fault(job)
        code, output = ended(process)
    assert code == 0, output
    assert len(hit) == len(FAULTS)
    require_equal(run, whole)
    require_no_jobs()


def test_a_killed_engine_whose_agents_are_started_again(tmp_path: Path, whole: dict[str, Any]) -> None:
    run = tmp_path / "run"
    with started(*evolving(run, "slurm:agents=2")) as process:
        until(lambda: scores(run) >= 2 and len(running()) == 2, process)
        before = running()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert running() == before
    with started("resume", run, "--executor", "slurm:agents=2") as process:
        code, output = ended(process)
    assert code == 0, output
    assert max(map(int, jobs("--states=all"))) == int(before[-1])
    require_equal(run, whole)
    require_no_jobs()


def test_a_signal_before_a_job_ends_that_leaves_agents_or_loses_the_run(tmp_path: Path) -> None:
    """More agents than there are nodes, so that one of them waits."""
    run = tmp_path / "run"
    with started(*evolving(run, "slurm:agents=3")) as process:
        until(lambda: scores(run) >= 2, process)
        assert "PENDING" in jobs().values()
        process.send_signal(signal.SIGUSR1)
        code, output = ended(process)
    assert code == 130, output
    assert "interrupted by SIGUSR1" in output
    require_no_jobs()


def test_an_agent_at_its_time_limit_that_is_killed_or_not_replaced(tmp_path: Path) -> None:
    """Three minutes are the least that a training of half a minute may have."""
    run = tmp_path / "run"
    long = ("--generations", "500", "--timeout", "30")
    with started(*evolving(run, "slurm:agents=1,time=3", *long)) as process:
        first = until(running, process)[0]
        until(lambda: any(int(one) > int(first) for one in running()), process)
        seen = scores(run)
        until(lambda: scores(run) > seen, process)
        process.send_signal(signal.SIGINT)
        code, output = ended(process)
    assert code == 130, output
    assert jobs("--states=all")[first] == "COMPLETED"
    require_no_jobs()


def test_a_machine_with_other_versions_that_scores(tmp_path: Path) -> None:
    with started(*evolving(tmp_path / "run", "slurm:partition=other")) as process:
        code, output = ended(process)
    assert code == 2, output
    assert "n3 cannot serve this run: This machine has ge_engine 0.0.9 (the engine: 0.1.0)." in output
    assert "because they cannot serve the run: n3" in output
    assert "Traceback" not in output
    require_no_jobs()


def test_a_machine_with_other_versions_that_ends_the_run_of_others(
    tmp_path: Path, whole: dict[str, Any]
) -> None:
    run = tmp_path / "run"
    with started(*evolving(run, "slurm:partition=mixed,agents=2")) as process:
        code, output = ended(process)
    assert code == 0, output
    assert "n3 cannot serve this run" in output
    require_equal(run, whole)


def test_a_doctor_that_leaves_jobs_behind_or_misses_a_node(tmp_path: Path) -> None:
    words = ("doctor", SEED, "--executor", "slurm:agents=2", "--folder", tmp_path, "--json")
    with started(*words, "--timeout", PATIENT) as process:
        code, output = ended(process)
    assert code == 0, output
    told = json.loads(output[output.index('{"machines"') :])
    assert [one["host"] for one in told["machines"]] == ["n1", "n2"]
    assert all(one["cores"] == 1 and one["round_trip"] > 0 for one in told["machines"])
    require_no_jobs()


def test_a_doctor_that_does_not_see_other_versions(tmp_path: Path) -> None:
    words = ("doctor", "--executor", "slurm:partition=other", "--folder", tmp_path)
    with started(*words, "--timeout", PATIENT) as process:
        code, output = ended(process)
    assert code == 2, output
    assert "n3 cannot serve: This machine has ge_engine 0.0.9 (the engine: 0.1.0)." in output
    require_no_jobs()


def test_an_engine_that_no_node_reaches_and_that_waits_in_silence(tmp_path: Path) -> None:
    """Its baseline waits for a machine, and the first signal ends that."""
    with started(*evolving(tmp_path / "run", "slurm:host=nowhere.invalid")) as process:
        assert process.stdout is not None
        said = next(line for line in process.stdout if "cannot be reached" in line)
        process.send_signal(signal.SIGINT)
        code, output = ended(process)
    assert re.search(r"1 of 1 agents run; The engine at nowhere\.invalid, port \d+, cannot be reached", said)
    assert code == 130, output
    require_no_jobs()


def test_what_slurm_refuses_that_is_not_told(tmp_path: Path) -> None:
    with started(*evolving(tmp_path / "run", "slurm:partition=none")) as process:
        code, output = ended(process)
    assert code == 2, output
    assert "invalid partition specified: none" in output
    assert "Traceback" not in output


ENGINE = """\
#!/bin/sh
echo "$1" >>"$HOME/said"
[ "$1" = resume ] && exit
mkdir -p "$HOME/runs/a" && touch "$HOME/runs/a/ledger.sqlite"
trap 'echo saved >>"$HOME/said"; exit 130' USR1
while :; do sleep 0.1; done
"""


def test_a_batch_script_to_copy_that_does_not_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it calls is a stand-in that is told to save once. SLURM has a job wait before it runs again."""
    page = (ROOT / "docs" / "how-to" / "slurm.md").read_text()
    found = re.search(r'```bash title="evolve.sbatch"\n(.*?)```', page, re.DOTALL)
    assert found
    (tmp_path / "evolve.sbatch").write_text(found[1])
    (tmp_path / "ge").write_text(ENGINE)
    (tmp_path / "ge").chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    said = tmp_path / "said"
    job = asked("sbatch", "--parsable", f"--output={tmp_path}/out", f"{tmp_path}/evolve.sbatch").strip()
    try:
        wait_for(lambda: (tmp_path / "runs" / "a" / "ledger.sqlite").exists())
        asked("scancel", "--batch", "--signal=USR1", job)
        wait_for(lambda: state_of(job) == "PENDING")
        asked("scontrol", "update", f"JobId={job}", "StartTime=now")
        wait_for(lambda: state_of(job) == "COMPLETED")
    finally:
        asked("scancel", "--quiet", job)
    assert said.read_text().split() == ["evolve", "saved", "resume"]


def state_of(job: str) -> str:
    return asked("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T").strip()

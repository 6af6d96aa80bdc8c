"""Faults of agents as SLURM jobs, with stand-ins for its programs; tests/test_slurm.py has the real ones."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from conftest import Ge
from hypothesis import given
from hypothesis import strategies as st

from ge_engine.contracts import AgentOrder
from ge_engine.errors import ConfigError, GeError
from ge_plugins import slurm_pool, slurm_programs
from ge_plugins.slurm import SlurmExecutor, options_of
from ge_plugins.slurm_pool import SlurmPool

STAND_IN = """\
#!{python} -IS
import json, os, pathlib, sys
home = pathlib.Path({home!r})
name = pathlib.Path(sys.argv[0]).name
with open(home / "calls", "a") as file:
    text = sys.stdin.read() if name == "sbatch" else ""
    print(json.dumps([name, sys.argv[1:], text, dict(os.environ)]), file=file)
says = home / (name + ".says")
if says.exists():
    sys.exit(says.read_text())
table = home / "jobs"
jobs = [line.split("|") for line in table.read_text().splitlines()] if table.exists() else []
if name == "squeue":
    print(*map("|".join, jobs), sep="\\n")
elif name == "sbatch":
    named = next(one for one in sys.argv if one.startswith("--job-name=")).partition("=")[2]
    jobs.append([str(len(jobs) + 1), "PENDING", "Resources", "", named])
    print(len(jobs))
else:
    jobs = [[one[0], "CANCELLED", *one[2:]] if one[0] in sys.argv else one for one in jobs]
table.write_text("".join("|".join(one) + "\\n" for one in jobs))
"""


class Cluster:
    """SLURM's programs on PATH, which keep their jobs in a file and remember how they were called."""

    def __init__(self, folder: Path) -> None:
        self.home, self.run = folder / "cluster", folder / "run"
        self.home.mkdir()
        self.run.mkdir()
        for name in slurm_programs.PROGRAMS:
            program = self.home / name
            program.write_text(STAND_IN.format(python=sys.executable, home=str(self.home)))
            program.chmod(0o755)

    def open(self, argument: str = "agents=2", seconds: float = 60.0) -> SlurmPool:
        order = AgentOrder(("python", "-m", "agent", "a b.json"), self.run, 3, 1, seconds)
        pool = SlurmExecutor().open(argument, order)
        assert isinstance(pool, SlurmPool)
        return pool

    def calls(self, name: str) -> list[tuple[list[str], str, dict[str, str]]]:
        path = self.home / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(words, text, env) for who, words, text, env in map(json.loads, lines) if who == name]

    def jobs(self) -> list[list[str]]:
        return [line.split("|") for line in (self.home / "jobs").read_text().splitlines()]

    def turn(self, number: int, state: str, node: str = "", reason: str = "None") -> None:
        """Let a job be in another state."""
        rows = self.jobs()
        rows[number - 1][1:4] = [state, reason, node]
        (self.home / "jobs").write_text("".join("|".join(row) + "\n" for row in rows))

    def says(self, name: str, words: str) -> None:
        """Have a program fail from now on; with "" no more."""
        path = self.home / f"{name}.says"
        path.write_text(words) if words else path.unlink()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster(tmp_path)
    monkeypatch.setenv("PATH", f"{made.home}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(slurm_pool, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(slurm_pool, "GRACE", 0.0)
    return made


# --- what is asked of SLURM -----------------------------------------------------------------------


def test_a_job_that_is_submitted_otherwise_than_asked_for(cluster: Cluster) -> None:
    argument = "agents=1,partition=long,gres=gpu:a100:2,exclude=n[1,3],n7,time=1:00:00,host=10.0.0.1"
    cluster.open(argument).keep([])
    ((words, script, _),) = cluster.calls("sbatch")
    assert {"--partition=long", "--gres=gpu:a100:2", "--exclude=n[1,3],n7", "--time=1:00:00"} <= {*words}
    assert {"--cpus-per-task=3", "--signal=B:USR1@120", "--no-requeue"} <= {*words}
    assert script == "#!/bin/sh\nexec python -m agent 'a b.json' --name \"slurm-$SLURM_JOB_ID\"\n"
    assert SlurmExecutor().host(argument) == "10.0.0.1"


def test_a_secret_or_another_job_that_comes_along_with_an_agent(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "OPENAI_API_KEY",
        "HF_TOKEN",
        "SLURM_JOB_ID",
        "SLURM_MEM_PER_CPU",
        "SLURM_CONF",
        "MODULEPATH",
    ):
        monkeypatch.setenv(name, "sesame")
    cluster.open().keep([])
    for name in slurm_programs.PROGRAMS[:2]:
        _, _, environment = cluster.calls(name)[0]
        assert {one for one, value in environment.items() if value == "sesame"} == {
            "SLURM_CONF",
            "MODULEPATH",
        }


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("agents=0", "agents .* whole number from 1, and not '0'"),
        ("agents=two", "and not 'two'"),
        ("agents=1,2", "and not '1,2'"),
        ("cpus=-1", "cpus .* whole number"),
        ("agent=2", "no option 'agent'"),
        ("4", "no option '4'"),
        ("partition=", "partition .* needs a value"),
        ("agents=2,agents=3", "agents twice"),
        ("time=soon", "time .* cannot be 'soon'"),
        ("time=1:2:3:4", "time .* cannot be"),
        (",", "no option ''"),
    ],
)
def test_an_option_that_is_misread(argument: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        options_of(argument)
    assert caught.value.hint


@given(st.integers(0, 40), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_a_time_limit_that_reads_as_another(days: int, hours: int, minutes: int, seconds: int) -> None:
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert options_of(f"time={days}-{hours}:{minutes}:{seconds}").seconds == whole
    assert options_of(f"time={days}-{hours}").seconds == (days * 24 + hours) * 3600
    assert options_of(f"time={days * 24 + hours}:{minutes}:{seconds}").seconds == whole
    assert options_of(f"time={minutes}:{seconds}").seconds == minutes * 60 + seconds
    assert options_of(f"time={minutes}").seconds == minutes * 60


def test_agents_that_would_end_before_their_first_training(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match=r"which may take 600.") as caught:
        cluster.open("time=11", seconds=600)
    assert "time=36" in caught.value.hint
    cluster.open("time=36", seconds=600)


def test_a_run_that_is_made_where_its_options_are_wrong_or_slurm_is_missing(
    tmp_path: Path, ge: Ge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ("examples/plain_cnn.py", "--llm", "uniform", "--run", tmp_path / "run")
    for executor, sentence in [
        ("slurm", "The executor slurm needs sbatch, squeue, scancel, which this machine does not have."),
        ("slurm:nodes=2", "The executor slurm has no option 'nodes'."),
    ]:
        code, _, error = ge("evolve", *words, "--executor", executor)
        assert code == 2
        assert sentence in " ".join(error.split())
        assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


# --- how many there are ---------------------------------------------------------------------------


def test_agents_that_are_not_told_as_they_are_or_submitted_twice(cluster: Cluster) -> None:
    pool = cluster.open("agents=3")
    assert pool.keep([]).expected == 3
    cluster.turn(1, "RUNNING", "n1")
    state = pool.keep([])
    assert (state.started, state.expected) == (3, 3)
    assert state.said == "1 of 3 agents run, 2 wait (Resources)"
    assert len(cluster.jobs()) == 3
    (cluster.run / "slurm-1.out").write_text("The engine cannot be reached from n1\n")
    assert pool.keep([]).said.endswith("(Resources); The engine cannot be reached from n1")


def test_an_agent_that_ended_and_is_not_replaced_or_not_explained(cluster: Cluster) -> None:
    pool = cluster.open("agents=2")
    pool.keep([])
    cluster.turn(1, "RUNNING", "n1")
    cluster.turn(2, "OUT_OF_MEMORY", "n2")
    (cluster.run / "slurm-2.out").write_text("begun\nKilled\n\n")
    state = pool.keep([])
    assert (state.started, state.expected) == (3, 2)
    assert state.said == "1 of 2 agents run; job 2 on n2 ended (OUT_OF_MEMORY): Killed"
    assert [row[1] for row in cluster.jobs()] == ["RUNNING", "OUT_OF_MEMORY", "PENDING"]


def test_an_agent_that_ended_well_and_is_called_ill(cluster: Cluster) -> None:
    pool = cluster.open("agents=1")
    pool.keep([])
    cluster.turn(1, "COMPLETED", "n1")
    assert pool.keep([]).said == "0 of 1 agents run"
    assert len(cluster.jobs()) == 2


def test_an_agent_that_slurm_has_forgotten_and_nobody_misses(cluster: Cluster) -> None:
    pool = cluster.open("agents=1")
    pool.keep([])
    (cluster.run / "slurm-1.out").write_text("Segmentation fault\n")
    (cluster.home / "jobs").write_text("7|RUNNING|None|n1|another job | of mine\n")
    state = pool.keep([])
    assert (state.started, state.expected) == (2, 1)
    assert state.said == "0 of 1 agents run; job 1 ended: Segmentation fault"


def test_a_node_that_is_left_out_and_gets_an_agent_again(cluster: Cluster) -> None:
    pool = cluster.open("agents=1,exclude=n9")
    pool.keep([])
    cluster.turn(1, "FAILED", "n2")
    pool.keep(["n2.cluster.example", "head"])
    assert "--exclude=n9,n2" in cluster.calls("sbatch")[-1][0]


# --- sessions of one run --------------------------------------------------------------------------


def test_agents_of_a_killed_session_that_are_doubled(cluster: Cluster) -> None:
    cluster.open("agents=3").keep([])
    cluster.turn(2, "RUNNING", "n1")
    state = cluster.open("agents=2").keep([])
    assert (state.started, state.expected) == (2, 2)
    assert [row[1] for row in cluster.jobs()] == ["PENDING", "RUNNING", "CANCELLED"]


def test_agents_that_were_asked_for_otherwise_and_are_kept(cluster: Cluster) -> None:
    cluster.open("agents=1,partition=slow").keep([])
    cluster.open("agents=1,partition=quick").keep([])
    assert [row[1] for row in cluster.jobs()] == ["CANCELLED", "PENDING"]


def test_an_agent_of_another_run_that_is_taken_over_or_cancelled(cluster: Cluster) -> None:
    cluster.open("agents=1").keep([])
    cluster.run = cluster.run.with_name("another")
    pool = cluster.open("agents=1")
    pool.keep([])
    pool.close()
    assert [row[1] for row in cluster.jobs()] == ["PENDING", "CANCELLED"]


def test_an_agent_that_a_closed_pool_leaves(cluster: Cluster) -> None:
    pool = cluster.open("agents=3")
    pool.keep([])
    cluster.turn(1, "RUNNING", "n1")
    cluster.turn(2, "COMPLETED", "n1")
    pool.close()
    assert [row[1] for row in cluster.jobs()] == ["CANCELLED", "COMPLETED", "CANCELLED"]


# --- when SLURM says no ---------------------------------------------------------------------------


def test_a_refusal_that_is_not_told_in_the_words_of_slurm(cluster: Cluster) -> None:
    words = "sbatch: error: Batch job submission failed: Invalid partition name specified\n"
    cluster.says("sbatch", f"sbatch: error: invalid partition specified: x\n{words}")
    with pytest.raises(
        GeError, match="invalid partition specified: x; Batch job submission failed"
    ) as caught:
        cluster.open("partition=x").keep([])
    assert "--executor slurm" in caught.value.hint


def test_a_limit_on_jobs_that_ends_a_run_whose_agents_work(cluster: Cluster) -> None:
    pool = cluster.open("agents=2")
    pool.keep([])
    cluster.turn(1, "RUNNING", "n1")
    cluster.turn(2, "PREEMPTED", "n2")
    cluster.says("sbatch", "sbatch: error: QOSMaxSubmitJobPerUserLimit")
    state = pool.keep([])
    assert state.expected == 1
    assert "SLURM takes no more (QOSMaxSubmitJobPerUserLimit)" in state.said


@pytest.mark.parametrize("program", ["squeue", "sbatch"])
def test_a_controller_that_is_away_for_a_while_and_ends_the_run(cluster: Cluster, program: str) -> None:
    pool = cluster.open("agents=2")
    cluster.says(program, f"{program}: error: Unable to contact slurm controller (connect failure)")
    assert "SLURM does not answer (Unable to contact slurm controller" in pool.keep([]).said
    pool.close()
    cluster.says(program, "")
    assert (pool.keep([]).started, len(cluster.jobs())) == (2, 2)


def test_an_error_of_slurm_that_is_waited_out_or_ends_a_run_whose_agents_work(cluster: Cluster) -> None:
    words = "slurm_load_jobs error: Protocol authentication error"
    cluster.says("squeue", words)
    with pytest.raises(GeError, match="SLURM says: slurm_load_jobs error: Protocol"):
        cluster.open().keep([])
    cluster.says("squeue", "")
    pool = cluster.open()
    pool.keep([])
    cluster.says("squeue", words)
    state = pool.keep([])
    assert state.expected == 2
    assert words in state.said


def test_a_submission_without_an_answer_that_is_doubled(cluster: Cluster) -> None:
    """What `sbatch` did before it lost the controller is found by its name."""
    pool = cluster.open("agents=1")
    cluster.says(
        "sbatch", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
    )
    pool.keep([])
    (name,) = (word[11:] for word in cluster.calls("sbatch")[0][0] if word.startswith("--job-name="))
    (cluster.home / "jobs").write_text(f"1|RUNNING|None|n1|{name}\n")
    cluster.says("sbatch", "")
    assert (pool.keep([]).started, len(cluster.jobs())) == (1, 1)


def test_a_program_of_slurm_that_holds_a_run_up(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    (cluster.home / "squeue").write_text("#!/bin/sh\nexec sleep 3600\n")
    monkeypatch.setattr(slurm_programs, "SECONDS", 0.2)
    assert "squeue took more than 0.2 seconds" in cluster.open().keep([]).said

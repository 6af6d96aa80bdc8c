"""A candidate's process that is spawned: it scores, ends and is confined as a forked one; its time counts
from where it begins. `make spawn` runs all tests of isolation in this way."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ge_engine.evaluation.executor import WorkerExit
from ge_engine.evaluation.exit_status import Kills, report_of
from ge_engine.evaluation.fork_server import starting
from ge_engine.evaluation.on_machine import chosen_sandbox
from ge_engine.evaluation.protocol.messages import WorkerReport
from ge_engine.evaluation.train_evaluation import TrainEvaluation
from ge_engine.evaluation.worker.spawn import await_ready, chosen_start_method, spawn
from ge_engine.genome import Genome
from ge_engine.outcome import Failed, Scored
from tests.evaluation import genome, outcome_of, shop
from tests.patience import PATIENT

BEGUN = 3.0
"""A limit below what a process needs to import torch."""
SLOW = f"""\
import time
from ge_engine.evaluation.fork_server import server
from ge_engine.evaluation.sandbox import confinement
settle = confinement.settle
confinement.settle = lambda *all: time.sleep({BEGUN} + 1) or settle(*all)
server.main()
"""
"""The fork server, whose workers begin late."""


@pytest.fixture(scope="module")
def spawned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainEvaluation]:
    with shop(tmp_path_factory.mktemp("scratch"), start_method="spawn", workers=2) as evaluation:
        yield evaluation


def ended(evaluation: TrainEvaluation, candidate: Genome, seconds: float) -> WorkerReport | Failed:
    spec = evaluation.job_spec("train", candidate, timeout=seconds)
    return report_of(evaluation.executor.submit(spec).result(PATIENT), spec, Kills())


@pytest.mark.long
def test_a_spawned_candidate_that_scores_otherwise_than_a_forked_one(
    spawned: TrainEvaluation, tmp_path: Path
) -> None:
    with shop(tmp_path, start_method="fork") as forked:
        one, two = outcome_of(forked, genome()), outcome_of(spawned, genome())
    assert isinstance(one, Scored)
    assert isinstance(two, Scored)
    assert one.objectives == two.objectives
    assert one.details["curve"] == two.details["curve"]


@pytest.mark.long
def test_two_spawned_processes_that_score_otherwise_than_two_forked_ones(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"processes_per_candidate": 2, "workers": 1, "timeout": 60.0}
    outcomes = []
    for method in ("fork", "spawn"):
        with shop(tmp_path / method, start_method=method, **settings) as evaluation:
            outcomes.append(outcome_of(evaluation, genome()))
    assert isinstance(outcomes[0], Scored)
    assert isinstance(outcomes[1], Scored)
    assert outcomes[0].objectives == outcomes[1].objectives
    assert outcomes[0].details["curve"] == outcomes[1].details["curve"]


@pytest.mark.long
def test_a_candidate_whose_time_counts_while_its_process_starts(spawned: TrainEvaluation) -> None:
    started = time.monotonic()
    top, late = "import time\nend = time.monotonic() + 30", "while self.training and time.monotonic() < end:"
    outcome = ended(spawned, genome(top=top, forward=f"{late}\n    time.sleep(0.1)"), BEGUN)
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.fault) == ("timeout", "candidate")
    assert time.monotonic() - started > BEGUN + 0.5
    assert isinstance(ended(spawned, genome(forward="y = 1"), BEGUN), WorkerReport)


@pytest.mark.long
def test_two_forked_candidates_that_begin_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that starves them both: the time of each counts from where it begins, and neither finds
    what the other is to say so on."""
    begin = starting.command

    def late(descriptor: int, *imports: str) -> list[str]:
        command = begin(descriptor, *imports)
        at = command.index("-m")
        return [*command[:at], "-c", SLOW, *command[at + 2 :]]

    monkeypatch.setattr(starting, "command", late)
    looks = "for n in range(3, 1024):\n    try:\n        mode = os.fstat(n).st_mode\n    except OSError:\n"
    looks += "        continue\n    assert not stat.S_ISSOCK(mode), n"
    candidate = genome(top="import os, stat", forward=looks)
    with shop(tmp_path, start_method="fork", workers=2) as evaluation:
        specs = [evaluation.job_spec("train", candidate, timeout=BEGUN) for _ in range(2)]
        futures = [evaluation.executor.submit(spec) for spec in specs]
        for spec, future in zip(specs, futures, strict=True):
            report = report_of(future.result(PATIENT), spec, Kills())
            assert isinstance(report, WorkerReport), report
            assert not report.error


@pytest.mark.long
def test_a_spawned_candidate_that_sees_what_a_forked_one_does_not(
    spawned: TrainEvaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GE_TEST_API_KEY", "sk-very-secret")
    secret = tmp_path / "secret"
    secret.write_text("key")
    with socket.create_server(("127.0.0.1", 0)) as server:
        top = f"""\
import os, socket
met = []
for act in (lambda: open({str(secret)!r}), lambda: socket.create_connection({server.getsockname()!r}, 2)):
    try:
        met.append(repr(act()))
    except OSError as error:
        met.append("refused")
raise ValueError(f"{{met}} {{os.environ.get('GE_TEST_API_KEY')}} {{os.getpid() == os.getsid(0)}}")
"""
        outcome = ended(spawned, genome(top=top), 20.0)
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()
    assert isinstance(outcome, WorkerReport)
    file = "refused" if chosen_sandbox("auto") in ("bwrap", "landlock") else "_io.TextIOWrapper"
    assert file in outcome.error
    assert outcome.error.count("refused") == 1 + (file == "refused")
    assert "None True" in outcome.error


def test_a_spawned_process_that_ends_before_it_begins(capfd: pytest.CaptureFixture[str]) -> None:
    pid, sock = spawn(1, [(b"no setup", ()), (b"no order", ())])
    with pytest.raises(OSError, match="before it began"):
        await_ready(sock)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert "JSONDecodeError" in capfd.readouterr().err


def test_a_spawned_process_that_the_system_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(FileNotFoundError):
        spawn(0, [(b"", ())])


def test_a_process_that_never_began_counted_against_its_candidate(spawned: TrainEvaluation) -> None:
    spec = spawned.job_spec("train", genome(), timeout=1.0)
    outcome = report_of(WorkerExit(-9, "it did not begin within 120 s", b"", ""), spec, Kills())
    assert isinstance(outcome, Failed)
    assert outcome.fault == "infrastructure"


@pytest.mark.parametrize(("platform", "method"), [("linux", "fork"), ("darwin", "spawn")])
def test_a_fork_where_it_is_not_safe(platform: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert chosen_start_method("auto") == method
    assert [chosen_start_method(asked) for asked in ("fork", "spawn")] == ["fork", "spawn"]

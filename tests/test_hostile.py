"""No network, however hostile, touches the engine, its neighbours or its own score."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from ge_engine.contracts import Job
from ge_engine.outcome import Failed, Outcome, Scored
from ge_engine.training.bubblewrap import why_not
from ge_engine.training.limits import landlock_version
from tests.evaluation import data, genome, shop
from tests.hostile import ALL
from tests.hostile.candidates import Hostile

TIMEOUT = 9.0
NAP = "86399"
SANDBOXES = ["landlock"] * (landlock_version() > 0) + ["bwrap"] * (not why_not()) or ["auto"]
RUNNABLE = [one for one in ALL if landlock_version() >= one.landlock]


@pytest.fixture(scope="module", params=SANDBOXES)
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Outcome]]:
    """All hostile networks trained side by side, and an honest one before and after."""
    home = tmp_path_factory.mktemp("home")
    secret = home / "id_ed25519"
    secret.write_text("a private key")
    os.environ["GE_TEST_API_KEY"] = "sk-very-secret"
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        shop(
            tmp_path_factory.mktemp("scratch"), timeout=TIMEOUT, workers=6, sandbox=request.param
        ) as evaluation,
    ):
        server.settimeout(0.1)
        datagrams.settimeout(0.1)
        datagrams.bind(server.getsockname())
        port = str(server.getsockname()[1])
        places = {"SECRET_FILE": str(secret), "PORT": port, "ENGINE_PID": str(os.getpid()), "NAP": NAP}
        jobs = {"before": genome(), **{one.name: built(one, places) for one in RUNNABLE}}
        futures = {name: evaluation.submit(Job(name, one, 0)) for name, one in jobs.items()}
        seen = {name: future.result(timeout=600) for name, future in futures.items()}
        seen["after"] = evaluation.submit(Job("after", genome(forward="y = 1"), 0)).result(timeout=60)
        seen["naps"] = Scored({"left": float(sleepers())})
        with pytest.raises(TimeoutError):
            server.accept()
        with pytest.raises(TimeoutError):
            datagrams.recv(100)
        assert secret.read_text() == "a private key"
        yield seen
    del os.environ["GE_TEST_API_KEY"]


def built(one: Hostile, places: dict[str, str]):  # type: ignore[no-untyped-def]
    def fill(code: str) -> str:
        for name, value in places.items():
            code = code.replace(name, value)
        return code

    return genome(top=fill(one.top), init=fill(one.init), forward=fill(one.forward))


def sleepers() -> int:
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        if not (count := sum(line.strip() == f"sleep {NAP}" for line in listed.splitlines())):
            return 0
        time.sleep(0.1)
    return count


@pytest.mark.parametrize("one", RUNNABLE, ids=lambda one: one.name)
def test_a_network_that_does_not_come_to_its_outcome(one: Hostile, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[one.name]
    kind, _, part = one.expect.partition(":")
    if kind == "scored":
        assert isinstance(outcome, Scored), outcome
        return
    assert isinstance(outcome, Failed), outcome
    assert outcome.kind == kind, outcome
    assert any(piece in outcome.reason for piece in part.split("|")), outcome
    assert outcome.fault == "candidate"


def test_a_process_that_outlives_its_candidate(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["naps"] == Scored({"left": 0.0})


def test_a_score_that_hostile_neighbours_changed(outcomes: dict[str, Outcome]) -> None:
    before, after = outcomes["before"], outcomes["after"]
    assert isinstance(before, Scored)
    assert isinstance(after, Scored)
    assert before.objectives == after.objectives
    assert before.objectives["accuracy"] > 0.6


def test_an_accuracy_that_the_candidate_computed(outcomes: dict[str, Outcome]) -> None:
    liar = outcomes["rewrites the trainer's loss and accuracy"]
    assert isinstance(liar, Scored)
    assert liar.objectives["accuracy"] == pytest.approx(float((data().validation.labels == 0).float().mean()))

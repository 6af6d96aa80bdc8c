"""No network, however hostile, touches the engine, its neighbours or its own score."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path

import pytest

from ge_engine.contracts import Evaluation, Job
from ge_engine.evaluation.sandbox.landlock import landlock_version
from ge_engine.genome import Genome
from ge_engine.outcome import Failed, Outcome, Scored
from tests.evaluation import data, genome, shop
from tests.hostile import ALL, files
from tests.hostile.candidates import Hostile
from tests.hostile.modes import MODES, confined_by
from tests.patience import PATIENT
from tests.sampled import everyday

TIMEOUT = 4.0
NAP = "86399"
RUNNABLE = [one for one in ALL if landlock_version() >= one.landlock]
HIDING = [mode for mode in MODES if mode in ("bwrap", "landlock")]
CASES = [(mode, one) for mode in MODES for one in RUNNABLE if mode in one.modes]


Seen = Callable[[str], dict[str, Outcome]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """The outcomes of all hostile networks in a mode, by name."""
    return cache(partial(trained, tmp_path_factory))


def trained(folders: pytest.TempPathFactory, mode: str) -> dict[str, Outcome]:
    """All hostile networks of `mode` trained side by side, and an honest one before and after."""
    secret = folders.mktemp("home") / "id_ed25519"
    secret.write_text("a private key")
    secret.chmod(0o600)
    scratch = folders.mktemp("scratch")
    beside = files.lay_out(scratch / "seed", data().validation.labels.tolist())
    with (
        pytest.MonkeyPatch.context() as patch,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        agents(folders.mktemp("agent")) as (agent, heard),
        confined_by(mode) as sandbox,
    ):
        patch.setenv("GE_TEST_API_KEY", "sk-very-secret")
        datagrams.bind(server.getsockname())
        port = str(server.getsockname()[1])
        places = {"SECRET_FILE": str(secret), "PORT": port, "ENGINE_PID": str(os.getpid()), "NAP": NAP}
        places |= {"SOCKET": agent, **beside}
        chosen = [one for one in RUNNABLE if mode in one.modes]
        ended = {one.name: built(one, places) for one in chosen if not lasts(one)}
        lasting = {one.name: built(one, places) for one in chosen if lasts(one)}
        with shop(scratch, timeout=PATIENT, workers=6, sandbox=sandbox) as evaluation:
            outcomes = together(evaluation, {"before": genome(), **ended})
            outcomes |= together(evaluation, {"after": genome(forward="y = 1")})
            left = os.listdir(scratch / "jobs")
        with shop(scratch, timeout=TIMEOUT, workers=6, sandbox=sandbox) as evaluation:
            outcomes |= together(evaluation, lasting)
            left += os.listdir(scratch / "jobs")
        outcomes["folders"] = Scored({"left": float(len(left))})
        outcomes["naps"] = Scored({"left": float(sleepers())})
        for one in (server, datagrams):
            one.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()
        with pytest.raises(TimeoutError):
            datagrams.recv(100)
        assert heard() == []
    assert secret.read_text() == "a private key"
    assert secret.stat().st_mode & 0o777 == 0o600
    return outcomes


def together(evaluation: Evaluation, genomes: dict[str, Genome]) -> dict[str, Outcome]:
    """The outcomes of genomes that are trained side by side."""
    futures = {name: evaluation.submit(Job(name, one, 0)) for name, one in genomes.items()}
    return {name: future.result(PATIENT) for name, future in futures.items()}


def lasts(one: Hostile) -> bool:
    """Whether it is ended by the time limit. That is short for these alone: on a busy machine, or where each
    process imports torch anew, the others need what time they need."""
    return one.expect.partition(":")[0] == "timeout"


@contextmanager
def agents(folder: Path) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """Sockets as of an agent: the path of those that have one, and what anybody has said to any."""
    path = str(folder / "agent")
    with (
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as nameless,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mailbox,
    ):
        named.bind(path)
        nameless.bind(f"\0ge-{path}")
        mailbox.bind(path + ".mail")

        def heard() -> list[str]:
            said = []
            for one, listen in (
                (named, named.accept),
                (nameless, nameless.accept),
                (mailbox, lambda: mailbox.recv(9)),
            ):
                one.setblocking(False)
                with suppress(BlockingIOError):
                    said.append(repr(listen()))
            return said

        named.listen()
        nameless.listen()
        yield path, heard


def built(one: Hostile, places: dict[str, str]):  # type: ignore[no-untyped-def]
    def fill(code: str) -> str:
        for name, value in places.items():
            code = code.replace(name, value)
        return code

    return genome(top=fill(one.top), init=fill(one.init), forward=fill(one.forward))


def sleepers() -> int:
    deadline = time.monotonic() + PATIENT
    while time.monotonic() < deadline:
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        if not (count := sum(line.strip() == f"sleep {NAP}" for line in listed.splitlines())):
            return 0
        time.sleep(0.1)
    return count


@pytest.mark.parametrize(
    ("mode", "one"),
    [
        pytest.param(mode, one, marks=[] if mode == MODES[0] else pytest.mark.long(mode))
        for mode, one in CASES
    ],
    ids=[f"{mode}: {one.name}" for mode, one in CASES],
)
def test_a_network_that_does_not_come_to_its_outcome(mode: str, one: Hostile, seen: Seen) -> None:
    outcome = seen(mode)[one.name]
    kind, _, part = one.expect.partition(":")
    if kind == "scored":
        assert isinstance(outcome, Scored), outcome
        return
    assert isinstance(outcome, Failed), outcome
    assert outcome.kind == kind, outcome
    assert any(piece in outcome.reason for piece in part.split("|")), outcome
    assert outcome.fault == "candidate"


def test_two_hostile_networks_of_one_name() -> None:
    names = [one.name for one in ALL]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("mode", everyday(MODES, MODES[0]))
def test_a_folder_that_outlives_its_candidate(mode: str, seen: Seen) -> None:
    assert seen(mode)["folders"] == Scored({"left": 0.0})


@pytest.mark.parametrize("mode", everyday(MODES, MODES[0]))
def test_a_process_that_outlives_its_candidate(mode: str, seen: Seen) -> None:
    assert seen(mode)["naps"] == Scored({"left": 0.0})


@pytest.mark.parametrize("mode", everyday(MODES, MODES[0]))
def test_a_score_that_hostile_neighbours_changed(mode: str, seen: Seen) -> None:
    before, after = seen(mode)["before"], seen(mode)["after"]
    assert isinstance(before, Scored)
    assert isinstance(after, Scored)
    assert before.objectives == after.objectives
    assert before.objectives["accuracy"] > 0.6


@pytest.mark.parametrize("mode", everyday(HIDING, *HIDING[:1]))
def test_an_accuracy_that_the_candidate_computed(mode: str, seen: Seen) -> None:
    liar = seen(mode)["rewrites the trainer's loss and accuracy"]
    assert isinstance(liar, Scored)
    assert liar.objectives["accuracy"] == pytest.approx(float((data().validation.labels == 0).float().mean()))

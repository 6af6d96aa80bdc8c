"""Faults of language models on other machines: replies that differ, are lost or taken twice, and waits that
nobody can end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import doubles
import pytest
from agents import Started, StartedPool
from conftest import Ge
from hypothesis import given
from hypothesis import strategies as st
from paced import Paced
from patience import PATIENT
from test_nodes import until
from test_nodes_run import content
from test_resuming import NO_DOUBLES

from ge_engine.agents.versions import versions_of
from ge_engine.config import RunConfig
from ge_engine.contracts import Constraint, Goal, LanguageModel, Prompt, Reply, Request, Sampling
from ge_engine.errors import GeError, ModelError
from ge_engine.grammar.lark_builder import Parts
from ge_engine.llm import remote
from ge_engine.llm.local import LocalModel
from ge_engine.llm.machines import Machines
from ge_engine.llm.owed import LOSSES, Owed, OwedReplies, Round
from ge_engine.llm.remote import RemoteModel, Source, open_remote
from ge_engine.llm.request_json import reply_from_json, reply_to_json, request_from_json, request_to_json
from ge_engine.loop import run

HERE = Path(__file__).resolve().parent
SMOLLM2 = Source("smollm2", "", "ge_plugins.models", "ge-engine")


@pytest.fixture(autouse=True)
def _found_by_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))


def paced(folder: Path | str = "") -> Source:
    return Source("paced", str(folder), "paced", "")


@contextmanager
def opened(
    folder: Path, source: Source, started: Started | None = None, count: int = 1, interrupted: bool = False
) -> Iterator[RemoteModel]:
    """A language model in `count` agents of this machine, of which the first has loaded it."""
    machines = Machines(started or Started(), str(count), folder / "llm", lambda: interrupted)
    model = open_remote(source, machines, RunConfig(llm_backend="torch"))
    try:
        yield model
    finally:
        model.close()


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteModel]:
    """A model that answers at once, in an agent."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", str(HERE))
        with opened(tmp_path_factory.mktemp("there"), paced()) as model:
            yield model


def asked(*users: str, constraint: Constraint | None = None) -> list[Request]:
    return [
        Request(f"g0s{n}/0", Prompt("You answer.", user), Sampling(0.5, 24, n), constraint)
        for n, user in enumerate(users)
    ]


def answers(model: LanguageModel, requests: Sequence[Request]) -> list[Reply]:
    found: dict[int, Reply] = {}
    for index, reply in model.generate(requests):
        assert index not in found, "it is answered twice"
        found[index] = reply
    return [found[index] for index in range(len(requests))]


def said(replies: Sequence[Reply]) -> list[tuple[object, ...]]:
    """All of replies but the time they took."""
    return [(one.text, one.finish, one.prompt_tokens, one.completion_tokens, one.model) for one in replies]


class Counting(Constraint):
    """Three parts, each of which depends on what was answered before."""

    @property
    def longest(self) -> int:
        return 12

    def part(self, so_far: str) -> str | None:
        return f"{len(so_far)}," if len(so_far) < 6 else None

    def whole(self) -> str:
        return "all"


class Broken(Counting):
    def part(self, so_far: str) -> str | None:
        raise LookupError("its part is broken")


# --- the same as here ---------------------------------------------------------------------------


def test_replies_that_differ_from_those_of_a_model_here(there: RemoteModel) -> None:
    requests = asked("one", "two", "\ud800 and é")
    assert (there.name, there.prompt_tokens, there.precision) == ("paced", 321, "paces")
    assert said(answers(there, requests)) == said(answers(Paced(""), requests))
    assert list(there.generate([])) == []


@pytest.mark.parametrize("constraint", [Counting(), Parts(("only this",))], ids=["in parts", "one text"])
def test_a_constraint_that_is_another_over_there(there: RemoteModel, constraint: Constraint) -> None:
    requests = asked("one", "two", constraint=constraint)
    replies = answers(there, requests)
    assert replies[0].text in ("0,2,4,", "only this")
    assert said(replies) == said(answers(Paced(""), requests))


def test_a_constraint_whose_fault_nobody_is_told(there: RemoteModel) -> None:
    with pytest.raises(LookupError, match="its part is broken"):
        answers(there, asked("one", "two", constraint=Broken()))
    assert answers(there, asked("again"))


def test_a_model_that_fails_there_and_is_waited_for(there: RemoteModel) -> None:
    with pytest.raises(ModelError) as told:
        answers(there, asked("one", "fail", "three"))
    assert (told.value.message, told.value.hint) == ("It will not.", "Ask otherwise.")
    with pytest.raises(ModelError, match=r"paced on \S+ failed: ValueError\('its own fault'\)"):
        answers(there, asked("fault"))
    assert answers(there, asked("again"))


def test_a_round_that_is_left_half_way_and_holds_the_next_one(there: RemoteModel) -> None:
    replies = there.generate(asked("one", "two", "three"))
    next(replies)
    replies.close()  # type: ignore[attr-defined]
    assert said(answers(there, asked("again"))) == said(answers(Paced(""), asked("again")))


@pytest.mark.long
def test_the_embedded_model_that_answers_otherwise_in_an_agent(tmp_path: Path, smollm2: LocalModel) -> None:
    words = Parts(('start: "yes" | "no" | /[a-z ]{8,12}/\n',))
    requests = [*asked("Say why less is more.", "What is a kernel?"), *asked("Is it?", constraint=words)]
    with opened(tmp_path, SMOLLM2) as model:
        assert (model.name, model.prompt_tokens) == ("smollm2", 0)
        assert said(answers(model, requests)) == said(answers(smollm2, requests))


def test_a_run_that_differs_from_one_that_decodes_here(tmp_path: Path) -> None:
    held = []
    for name, executor in (("here", "local"), ("there", "started:1")):
        config = doubles.config(executor_llm=executor, generations=2, grammar="edits")
        run(doubles.seed(), config, doubles.registry("agents"), tmp_path / name, doubles.Observer())
        held.append(content(tmp_path / name))
        assert len(held[-1]["calls"]) > 5
    assert held[0] == held[1]
    assert list((tmp_path / "there" / "scratch" / "llm").glob("agent-0.log"))
    assert not list((tmp_path / "here" / "scratch").glob("llm*"))


# --- agents that are lost -----------------------------------------------------------------------


def decoding(folder: Path, gone: Sequence[int] = ()) -> int:
    """The process that decodes, once there is one that is not among those `gone`."""
    found: list[int] = []

    def begun() -> bool:
        found[:] = [int(one.stem) for one in folder.glob("*.asked") if int(one.stem) not in gone]
        return bool(found)

    until(begun)
    return found[0]


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.long)])
def test_what_an_agent_owed_that_is_lost(number: signal.Signals, tmp_path: Path) -> None:
    """Half of it was answered by then; what a stopped one says later is too late."""
    started, requests = Started(), asked("one", "two", "three", "four")
    with opened(tmp_path, paced(tmp_path), started, 2) as model:
        until(lambda: model._head.serving() == 2)
        replies = model.generate(requests)
        found = dict([next(replies)])
        lost = decoding(tmp_path)
        os.kill(lost, number)
        decoding(tmp_path, [lost])
        (tmp_path / "go").touch()
        for index, reply in replies:
            assert index not in found
            found[index] = reply
        if number == signal.SIGSTOP:
            os.kill(lost, signal.SIGCONT)
        assert said(answers(model, requests)) == said([found[index] for index in range(4)])
    assert said([found[index] for index in range(4)]) == said(answers(Paced(""), requests))
    assert all(agent.poll() is not None for agent in started.pools[0].agents)


@pytest.mark.long
def test_a_prompt_that_ends_every_agent(tmp_path: Path) -> None:
    gone: list[int] = []
    with opened(tmp_path, paced(tmp_path)) as model:
        replies = model.generate(asked("one"))
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(lambda: list(replies))
            for _ in range(LOSSES):
                gone.append(decoding(tmp_path, gone))
                os.kill(gone[-1], signal.SIGKILL)
            with pytest.raises(ModelError, match="3 machines were lost one after another"):
                answer.result(PATIENT)


def test_an_agent_that_is_to_leave_and_drops_what_it_owes(tmp_path: Path) -> None:
    started = Started()
    with opened(tmp_path, paced(tmp_path), started) as model:
        replies = model.generate(asked("one", "two"))
        next(replies)
        (leaving,) = started.pools[0].agents
        leaving.send_signal(signal.SIGUSR1)
        (tmp_path / "go").touch()
        assert len(list(replies)) == 1
        assert leaving.wait(PATIENT) == 0


# --- machines that cannot serve -----------------------------------------------------------------


@pytest.mark.long
def test_a_machine_with_other_versions_that_decodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "versions_of", lambda names: {**versions_of(names), "torch": "0.0"})
    with (
        pytest.raises(GeError, match=r"This machine has torch \S+ \(the engine: 0\.0\)"),
        opened(tmp_path, paced()),
    ):
        pass


@pytest.mark.long
def test_a_model_that_the_other_machine_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(GeError, match="there is no folder /nowhere"), opened(tmp_path, paced("/nowhere")):
        pass


@pytest.mark.parametrize("llm", ["uniform", "openai:gpt@http://127.0.0.1:9", "manual:answers"])
def test_a_machine_for_a_model_that_needs_none(ge: Ge, tmp_path: Path, llm: str) -> None:
    words = ("examples/plain_cnn.py", "--llm", llm, "--executor-llm", "nodes:here", "--run", tmp_path / "run")
    code, _, error = ge("evolve", *words)
    assert code == 2
    assert "needs no machine to decode on" in " ".join(error.split())
    assert not (tmp_path / "run").exists()


# --- waits that end -----------------------------------------------------------------------------


def test_a_wait_for_a_machine_that_no_signal_ends(tmp_path: Path) -> None:
    address = tmp_path / "run" / "scratch" / "llm" / "agents.json"
    words = ["evolve", HERE.parent / "examples" / "plain_cnn.py", "--plugin", "doubles", *NO_DOUBLES]
    words += [
        "--evaluator",
        "instant",
        "--checks",
        "seen",
        "--llm",
        "scripted",
        "--executor-llm",
        "nodes:127.0.0.1",
    ]
    command = [sys.executable, "-m", "ge_engine.cli", *map(str, words), "--run", str(tmp_path / "run")]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: address.exists() or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=PATIENT)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert not address.exists()


def test_a_run_that_is_to_end_and_waits_for_an_agent(tmp_path: Path) -> None:
    """No other comes: what is asked is not waited for."""

    class Once(Started):
        def open(self, argument: str, order: Any) -> StartedPool:
            pool = super().open(argument, order)
            assert isinstance(pool, StartedPool)
            pool.keep(())
            pool.wanted = 0
            return pool

    started = Once()
    with opened(tmp_path, paced(), started, interrupted=True) as model:
        assert answers(model, asked("while it is there"))
        started.pools[0].agents[0].kill()
        until(lambda: not model._head.serving())
        with pytest.raises(KeyboardInterrupt):
            answers(model, asked("after"))


def test_a_round_that_goes_on_when_its_model_is_closed(tmp_path: Path) -> None:
    with opened(tmp_path, paced(tmp_path)) as model:
        replies = model.generate(asked("one", "two"))
        next(replies)
        began = time.monotonic()
        model.close()
        with pytest.raises(ModelError, match="was closed"):
            next(replies)
        assert time.monotonic() - began < PATIENT
        with pytest.raises(ModelError, match="was closed"):
            answers(model, asked("later"))


# --- laws ---------------------------------------------------------------------------------------

SHARES = st.tuples(st.floats(0, 2), st.just(float("inf")) | st.floats(2, 3))
GOALS = st.builds(Goal, st.lists(st.text(max_size=4)).map(tuple), SHARES, SHARES, st.floats(0, 1))
PROMPTS = st.builds(
    Prompt,
    *(st.text(), st.text(), st.text(), st.none() | st.text(), st.text(), st.text()),
    goal=st.none() | GOALS,
    addresses=st.lists(st.text()).map(tuple),
    background=st.lists(st.sampled_from(("task", "goal"))).map(tuple),
)
SAMPLINGS = st.builds(Sampling, st.floats(0, 2), st.integers(1, 9999), st.integers())


@given(PROMPTS, SAMPLINGS)
def test_a_request_that_is_another_when_it_arrives(prompt: Prompt, sampling: Sampling) -> None:
    request = Request("g1s2/0", prompt, sampling, Parts(("start: /a/",)), "paced")
    sent = json.loads(json.dumps(request_to_json(Owed(7, 0, request, SimpleQueue()))))
    assert request_from_json(sent, lambda number, so_far: None) == (7, request)


FINISHES = st.sampled_from(("stop", "length", "error"))
COUNTS = st.integers(0, 99)
REPLIES = st.builds(Reply, st.text(), FINISHES, COUNTS, COUNTS, st.floats(0, 9), st.text(), st.text())


@given(REPLIES)
def test_a_reply_that_is_another_when_it_arrives(reply: Reply) -> None:
    assert reply_from_json(json.loads(json.dumps(reply_to_json(reply)))) == reply


@pytest.mark.parametrize(
    "wrong", [{"finish": "perhaps"}, {"text": 3}, {"prompt_tokens": -1}, {"seconds": float("nan")}]
)
def test_a_reply_that_is_none_and_is_taken(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        reply_from_json({**reply_to_json(Reply("a", "stop", 1, 1, 0.1, "m")), **wrong})


STEPS = st.lists(st.tuples(st.sampled_from(["lend", "answer", "lose", "join", "done"]), st.integers(0, 2)))


@given(STEPS, st.integers(1, 9))
def test_a_request_that_is_lost_or_answered_twice(steps: list[tuple[str, int]], count: int) -> None:
    """Each is at any time answered, given up, waiting, or with one agent."""
    owed, ended, held = OwedReplies(), list[int](), dict[str, list[int]]()
    answered: Round = SimpleQueue()
    owed.submit(asked(*map(str, range(count))), answered)
    for step, which in steps:
        agent = f"a{which}"
        if step == "join" and agent not in held:
            owed.join(agent)
            held[agent] = []
        elif step == "lend" and (lent := owed.lend()):
            held[lent[0]] = [one.number for one in lent[1]]
        elif step == "answer" and held.get(agent):
            number = held[agent].pop()
            assert owed.answered(agent, number)
            assert owed.answered(agent, number) is None
            ended.append(number)
        elif step == "lose" and agent in held:
            del held[agent]
            ended += [one.number for one in owed.lose(agent)]
        elif step == "done" and agent in held:
            ended += [one.number for one in owed.done(agent)]
            held[agent] = []
        waiting = owed.waiting() - (0 if owed._begun else 1)
        assert len(set(ended)) == len(ended)
        assert len(ended) + waiting + sum(map(len, held.values())) == count

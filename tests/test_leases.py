"""Faults of lending jobs to agents: one done twice, one lost, one that kills every machine it is given to."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ge_engine.evaluation.executor import WorkerExit
from ge_engine.evaluation.nodes.leases import FAULTS, LOSSES, SLOWEST, SPARE, Leases
from ge_engine.evaluation.protocol.messages import JobSpec

TRAINING = JobSpec("", "train", {}, "", 0, "validation", 1.0, "")
EXIT = WorkerExit(0, "", b"", "")
AGENTS = ("a", "b", "c")


def job(leases: Leases, number: int, kind: str = "train") -> Future[WorkerExit]:
    future: Future[WorkerExit] = Future()
    leases.submit(replace(TRAINING, id=str(number), kind=kind), future)
    return future


class Lending(RuleBasedStateMachine):
    """Agents come, go and report in any order, some of them late and some twice."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.leases = Leases(lambda: self.now)
        self.until: dict[str, float] = {}
        self.futures: dict[str, Future[WorkerExit]] = {}
        self.slots: dict[str, int] = {}
        self.held: list[tuple[str, str, str]] = []
        self.losses: dict[str, int] = {}
        self.results: dict[str, int] = {}
        self.avoids: dict[str, set[str]] = {}

    @rule(kind=st.sampled_from(["train", "probe"]))
    def submit(self, kind: str) -> None:
        number = len(self.futures)
        self.futures[str(number)] = job(self.leases, number, kind)

    @rule(agent=st.sampled_from(AGENTS), slots=st.integers(1, 3))
    def join(self, agent: str, slots: int) -> None:
        if agent not in self.slots:
            self.leases.join(agent, f"host of {agent}", slots)
            self.slots[agent] = slots

    @rule()
    def lend(self) -> None:
        while lent := self.leases.lend():
            agent, lease, spec = lent
            assert self.leases.holds(agent, lease)
            avoided = self.avoids.get(spec.id, set())
            assert agent not in avoided or not self.slots.keys() - avoided
            self.held.append((agent, lease, spec.id))
            self.until[lease] = self.now + TRAINING.timeout + SPARE

    @rule(agent=st.sampled_from(AGENTS))
    def lose(self, agent: str) -> None:
        mine = [name for one, lease, name in self.held if one == agent and self.leases.holds(one, lease)]
        for name in mine:
            self.losses[name] = self.losses.get(name, 0) + 1
        given_up = {lent.spec.id for lent in self.leases.lose(agent)}
        assert given_up == {name for name in mine if self.losses[name] == LOSSES}
        for name in given_up:
            self.results[name] = self.results.get(name, 0) + 1
        self.slots.pop(agent, None)

    @rule(seconds=st.sampled_from([1.0, SPARE / 2, SPARE + 2.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        mine = [(one, lease, name) for one, lease, name in self.held if self.leases.holds(one, lease)]
        late = {(one, name) for one, lease, name in mine if self.until[lease] < self.now}
        assert set(self.leases.overdue()) == {agent for agent, _ in late}
        for agent in {agent for agent, _ in late}:
            names = {name for one, name in late if one == agent}
            for name in names:
                self.losses[name] = self.losses.get(name, 0) + 1
            given_up = {lent.spec.id for lent in self.leases.give_up_on(agent)}
            assert given_up == {name for name in names if self.losses[name] == LOSSES}
            self.results |= dict.fromkeys(given_up, 1)
            self.slots.pop(agent)
        assert not self.leases.overdue()

    @rule(data=st.data())
    @precondition(lambda self: self.held)
    def report(self, data: st.DataObject) -> None:
        agent, lease, name = data.draw(st.sampled_from(self.held))
        in_force = self.leases.holds(agent, lease)
        taken = self.leases.end(agent, lease)
        assert (taken is not None) == in_force
        if taken is not None:
            assert taken.spec.id == name
            self.results[name] = self.results.get(name, 0) + 1

    @rule(data=st.data())
    @precondition(lambda self: self.held)
    def fail_by_a_fault_of_the_host(self, data: st.DataObject) -> None:
        agent, lease, name = data.draw(st.sampled_from(self.held))
        taken = self.leases.end(agent, lease)
        if taken is None:
            return
        self.losses[name] = self.losses.get(name, 0) + 1
        avoided = self.avoids.setdefault(name, set())
        avoided.add(agent)
        again = self.leases.retry_elsewhere(taken, f"host of {agent}")
        assert again == (self.losses[name] < LOSSES and bool(self.slots.keys() - avoided))
        if not again:
            self.results[name] = self.results.get(name, 0) + 1

    @invariant()
    def no_job_has_two_results(self) -> None:
        assert all(count == 1 for count in self.results.values())

    @invariant()
    def no_agent_has_more_than_it_has_room_for(self) -> None:
        for agent, slots in self.slots.items():
            held = [name for one, lease, name in self.held if one == agent and self.leases.holds(one, lease)]
            assert len(held) <= slots + 1

    @invariant()
    def every_job_waits_or_runs_or_has_a_result(self) -> None:
        running = sum(self.leases.holds(agent, lease) for agent, lease, _ in self.held)
        assert self.leases.waiting() + running + len(self.results) == len(self.futures)

    def teardown(self) -> None:
        """With an agent that stays, all of them get done."""
        if "last" not in self.slots:
            self.leases.join("last", "host", 100)
        while lent := self.leases.lend():
            if taken := self.leases.end(lent[0], lent[1]):
                self.results[taken.spec.id] = self.results.get(taken.spec.id, 0) + 1
        for agent, lease, name in self.held:
            if self.leases.end(agent, lease):
                self.results[name] = self.results.get(name, 0) + 1
        assert self.results == dict.fromkeys(self.futures, 1)


TestLending = Lending.TestCase
TestLending.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_training_that_a_probe_waits_behind() -> None:
    leases = Leases()
    job(leases, 0)
    job(leases, 1, "probe")
    leases.join("a", "h", 1)
    lent = leases.lend()
    assert lent is not None
    assert lent[2].kind == "probe"


def test_a_machine_that_gets_all_while_another_is_idle() -> None:
    leases = Leases()
    leases.join("a", "h", 2)
    leases.join("b", "i", 2)
    for number in range(4):
        job(leases, number)
    lent = [leases.lend() for _ in range(4)]
    assert sorted(one[0] for one in lent if one) == ["a", "a", "b", "b"]


def test_an_agent_that_leaves_and_is_given_more() -> None:
    leases = Leases()
    leases.join("a", "h", 2)
    job(leases, 0)
    assert leases.lend() is not None
    leases.leave("a")
    job(leases, 1)
    assert leases.lend() is None
    assert not leases.is_done("a")
    leases.lose("a")
    leases.join("b", "h", 1)
    assert leases.lend() is not None


def test_a_job_that_was_cancelled_and_is_run() -> None:
    leases = Leases()
    waiting = job(leases, 0)
    assert waiting.cancel()
    leases.join("a", "h", 1)
    assert leases.lend() is None


@pytest.mark.parametrize("between", [False, True])
def test_a_machine_that_fails_every_job_and_gets_the_next(between: bool) -> None:
    leases = Leases()
    leases.join("a", "h", 1)
    said = [leases.blame("a", faulty=True) for _ in range(FAULTS - 1)]
    if between:
        said.append(leases.blame("a", faulty=False))
    said.append(leases.blame("a", faulty=True))
    assert any(said) != between
    assert leases.drained() == ([] if between else ["h"])


def test_a_job_that_its_faulty_machine_gets_again_while_others_are_busy() -> None:
    """The other machine has the next one, and this one what it has not failed."""
    leases = Leases()
    leases.join("a", "h", 1)
    job(leases, 0)
    agent, lease, _ = leases.lend() or pytest.fail("it is free")
    leases.join("b", "i", 1)
    job(leases, 1)
    assert leases.lend() is not None
    failed = leases.end(agent, lease)
    assert failed is not None
    assert leases.retry_elsewhere(failed, "h")
    assert leases.lend() is None
    job(leases, 2)
    agent, _, spec = leases.lend() or pytest.fail("it has room")
    assert (agent, spec.id) == ("a", "2")
    leases.lose("b")
    leases.lose("a")
    leases.join("a", "h", 9)
    lent = [leases.lend() for _ in range(3)]
    assert sorted(one[2].id for one in lent if one) == ["0", "1", "2"]


def test_a_job_that_is_lost_because_it_is_large() -> None:
    """Of two jobs of an agent the second may have to wait for what the first sends and gets."""
    now = 0.0
    leases = Leases(lambda: now)
    leases.join("a", "h", 1)
    job(leases, 0)
    leases._queue[0].spec = replace(TRAINING, room=100 * SLOWEST)
    assert leases.lend()
    now = TRAINING.timeout + SPARE + 400.0
    assert leases.overdue() == []
    now += 1.0
    assert leases.overdue() == ["a"]


def test_jobs_that_are_lost_because_they_wait_for_one_that_is_alone() -> None:
    """It waits for those that are there, and who comes after it waits for it."""
    now = 0.0
    leases = Leases(lambda: now)
    leases.join("a", "h", 3)
    for number in range(3):
        job(leases, number)
    leases._queue[1].spec = replace(TRAINING, id="1", alone=True)
    while leases.lend():
        pass
    untils = [one.until - SPARE for one in leases._agents["a"].leases.values()]
    assert untils == [TRAINING.timeout, 2 * TRAINING.timeout, 3 * TRAINING.timeout]

"""Who works on what: each job is lent to one agent at a time, and one report of each is taken.

Plain data without I/O. A lease has a token of its own; what comes with a token that is no longer in force is
a late report, or a second one, and is left out. Each lease has a limit, for an agent may give signs of life
while what runs its jobs stands still.
"""

from __future__ import annotations

import heapq
import itertools
import math
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from ge_engine.evaluation.executor import WorkerExit
from ge_engine.evaluation.protocol.messages import JobSpec

LOSSES = 3
"""Agents that may be lost with one job before it is given up: it may be what kills them."""
SPARE = 600.0
"""Seconds that a job may take besides its timeout: to be sent, to begin, to be ended, and to report."""
SLOWEST = 2**20
"""Bytes a second at which an agent sends and receives at least."""
FAULTS = 3
"""Jobs that a host may fail for its own faults, with none between that it did not, before it is left out."""


@dataclass(slots=True)
class Lent:
    """A job that waits or runs. `losses` counts agents that were lost with it and hosts that were at fault,
    which it `avoids`; `until` is when it has to be back from the one that has it."""

    spec: JobSpec
    future: Future[WorkerExit]
    number: int
    losses: int = 0
    until: float = math.inf
    avoids: set[str] = field(default_factory=set)

    def __lt__(self, other: Lent) -> bool:
        """Probes go before trainings: they are short, and trainings follow from them."""
        return self._rank < other._rank

    @property
    def _rank(self) -> tuple[bool, int]:
        return self.spec.kind == "train", self.number


@dataclass(slots=True)
class Agent:
    """What serves jobs on `host`, `slots` trainings at once and one probe besides."""

    host: str
    slots: int
    leaving: bool = False
    leases: dict[str, Lent] = field(default_factory=dict)

    def seconds_for(self, job: Lent) -> float:
        """What a job may take here: what it starts from may be as large as what it keeps, and others may be
        sent before it. One that is to be alone on a GPU waits for those that are there, and they for it."""
        theirs = list(self.leases.values())
        moved = 2 * (job.spec.room + job.spec.weights) * (self.slots + 1)
        waits = job.spec.alone or any(one.spec.alone for one in theirs)
        before = sum(one.spec.timeout for one in theirs) if waits else 0.0
        return before + job.spec.timeout + SPARE + moved / SLOWEST

    def takes(self, job: Lent) -> bool:
        room = self.slots + (job.spec.kind != "train")
        return not self.leaving and len(self.leases) < room


class Leases:
    """The jobs of a session and the agents that serve them. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._queue: list[Lent] = []
        self._numbers = itertools.count()
        self._agents: dict[str, Agent] = {}
        self._faults: Counter[str] = Counter()

    def submit(self, spec: JobSpec, future: Future[WorkerExit]) -> None:
        heapq.heappush(self._queue, Lent(spec, future, next(self._numbers)))

    def join(self, agent: str, host: str, slots: int) -> None:
        """An agent begins to serve; on a host that is left out it takes no jobs. One that is known under this
        name is lost first: see `lose`."""
        self._agents[agent] = Agent(host, max(1, slots), leaving=host in self.drained())

    def leave(self, agent: str) -> None:
        """An agent takes no further jobs; those that it has it goes on with."""
        if agent in self._agents:
            self._agents[agent].leaving = True

    def lose(self, agent: str) -> list[Lent]:
        """An agent is gone. Its jobs wait again; those that were lost too often are given back."""
        gone = self._agents.pop(agent, None)
        jobs = list(gone.leases.values()) if gone else []
        for job in jobs:
            job.losses += 1
        return self._wait_again(jobs)

    def overdue(self) -> list[str]:
        """The agents that have a job for longer than it may take, whatever else they do."""
        now = self._clock()
        return [
            name for name, one in self._agents.items() if any(job.until < now for job in one.leases.values())
        ]

    def give_up_on(self, agent: str) -> list[Lent]:
        """As `lose`, of one that is overdue: the loss counts for the jobs that are, and for no others."""
        now, jobs = self._clock(), list(self._agents.pop(agent).leases.values())
        for job in jobs:
            job.losses += job.until < now
        return self._wait_again(jobs)

    def _wait_again(self, jobs: Sequence[Lent]) -> list[Lent]:
        """Queue what was lent; those that were lost too often are given back."""
        for job in jobs:
            if job.losses < LOSSES:
                heapq.heappush(self._queue, job)
        return [job for job in jobs if job.losses >= LOSSES]

    def lend(self) -> tuple[str, str, JobSpec] | None:
        """The next job that an agent has room for: agent, lease and job; None where there is none."""
        passed: list[Lent] = []
        try:
            while self._queue:
                job = heapq.heappop(self._queue)
                free = self._free_for(job)
                if not free:
                    passed.append(job)
                    if job.avoids:  # others may go where it shall not
                        continue
                    return None
                if not job.future.running() and not job.future.set_running_or_notify_cancel():
                    continue
                agent, lease = min(free, key=self._load), secrets.token_hex(8)
                job.until = self._clock() + self._agents[agent].seconds_for(job)
                self._agents[agent].leases[lease] = job
                return agent, lease, job.spec
            return None
        finally:
            for job in passed:
                heapq.heappush(self._queue, job)

    def _free_for(self, job: Lent) -> list[str]:
        """The agents that have room for a job, but for hosts that it avoids while there are others."""
        avoided = job.avoids if self._hosts() - job.avoids else ()
        return [name for name, one in self._agents.items() if one.takes(job) and one.host not in avoided]

    def _hosts(self) -> set[str]:
        """Those that take jobs."""
        return {one.host for one in self._agents.values() if not one.leaving}

    def end(self, agent: str, lease: str) -> Lent | None:
        """A report has come: the job that it is taken for; None where the lease is not in force."""
        known = self._agents.get(agent)
        return known.leases.pop(lease, None) if known else None

    def retry_elsewhere(self, job: Lent, host: str) -> bool:
        """Have a job that has ended by a fault of `host` wait for another; whether there is one. False, too,
        where it was lost too often."""
        job.losses += 1
        job.avoids.add(host)
        if job.losses >= LOSSES or not self._hosts() - job.avoids:
            return False
        heapq.heappush(self._queue, job)
        return True

    def blame(self, agent: str, faulty: bool) -> str:
        """Count what a job came to on the agent's host. The host, where it is left out from now on, and its
        agents leave; else ""."""
        host = self._agents[agent].host if agent in self._agents else ""
        self._faults[host] = self._faults[host] + 1 if faulty else 0
        if self._faults[host] != FAULTS:
            return ""
        for one in self._agents.values():
            one.leaving = one.leaving or one.host == host
        return host

    def drained(self) -> list[str]:
        """The hosts that are left out."""
        return sorted(host for host, count in self._faults.items() if count >= FAULTS)

    def holds(self, agent: str, lease: str) -> bool:
        """Whether an agent has a job under this lease."""
        return agent in self._agents and lease in self._agents[agent].leases

    def is_done(self, agent: str) -> bool:
        """Whether an agent takes no further jobs and has none."""
        known = self._agents.get(agent)
        return known is not None and known.leaving and not known.leases

    def serving(self) -> int:
        """How many agents there are."""
        return len(self._agents)

    def slots(self) -> int:
        """How many trainings the agents take at once that take any. Any thread may ask."""
        return sum(one.slots for one in list(self._agents.values()) if not one.leaving)

    def waiting(self) -> int:
        return len(self._queue)

    def unfinished(self) -> list[Future[WorkerExit]]:
        """The futures of all jobs that wait or run; none does any more."""
        jobs = [*self._queue, *(job for one in self._agents.values() for job in one.leases.values())]
        self._queue.clear()
        self._agents.clear()
        return [job.future for job in jobs]

    def _load(self, agent: str) -> float:
        return len(self._agents[agent].leases) / self._agents[agent].slots

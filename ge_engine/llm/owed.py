"""Who owes which replies: each request is lent to one agent at a time, and one reply to it is taken.

Plain data without I/O. What an agent says of a request that it does not hold is late, or said twice, and is
left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

from ge_engine.contracts import Reply, Request

LOSSES = 3
"""Agents that may be lost with one request before it is given up: it may be what kills them."""
Answer = tuple[int, Reply | None] | BaseException
"""The index of a request and its reply, None where the model ended without one; or what ends its round."""
Round = SimpleQueue[Answer]
"""Takes the answers to requests that are asked at once."""


@dataclass(slots=True, eq=False)
class Owed:
    """A request that waits or is decoded. `losses` counts agents that were lost with it."""

    number: int
    index: int
    request: Request
    round: Round
    losses: int = 0


@dataclass(slots=True)
class Holder:
    """An agent. `busy` from when a batch is lent to it until it says that this is done."""

    leaving: bool = False
    busy: bool = False
    held: dict[int, Owed] = field(default_factory=dict)


class OwedReplies:
    """The requests of a session and the agents that answer them."""

    def __init__(self) -> None:
        self._waiting: list[Owed] = []
        self._agents: dict[str, Holder] = {}
        self._numbers = itertools.count()
        self._begun = False

    def submit(self, requests: Sequence[Request], answers: Round) -> None:
        """Have requests wait, which `answers` gets the replies to."""
        self._waiting += [Owed(next(self._numbers), i, one, answers) for i, one in enumerate(requests)]

    def join(self, agent: str) -> None:
        """An agent has loaded the model. One that is known under this name is lost first: see `lose`."""
        self._agents[agent] = Holder()
        self._begun = True

    def leave(self, agent: str) -> None:
        """An agent takes no further requests; those that it has it answers."""
        if agent in self._agents:
            self._agents[agent].leaving = True

    def lend(self) -> tuple[str, list[Owed]] | None:
        """The next batch and who decodes it: an even share for each agent that has nothing to do; None where
        nothing waits, or all agents are busy."""
        idle = [name for name, one in self._agents.items() if not one.busy and not one.leaving]
        if not idle or not self._waiting:
            return None
        count = -(-len(self._waiting) // len(idle))
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        holder = self._agents[idle[0]]
        holder.busy, holder.held = True, {one.number: one for one in batch}
        return idle[0], batch

    def held(self, agent: str, number: int) -> Owed | None:
        """A request that an agent has; None where it has it no more."""
        known = self._agents.get(agent)
        return known.held.get(number) if known else None

    def answered(self, agent: str, number: int) -> Owed | None:
        """A reply has come: the request that it is taken for; None where the agent does not have it."""
        known = self._agents.get(agent)
        return known.held.pop(number, None) if known else None

    def done(self, agent: str) -> list[Owed]:
        """An agent has ended its batch; what it left without a reply."""
        known = self._agents.get(agent)
        if known is None:
            return []
        left, known.held, known.busy = list(known.held.values()), {}, False
        return left

    def lose(self, agent: str) -> list[Owed]:
        """An agent is gone. What it owed waits again; what was lost too often is given back."""
        gone = self._agents.pop(agent, None)
        owed = list(gone.held.values()) if gone else []
        for one in owed:
            one.losses += 1
        again = [one for one in owed if one.losses < LOSSES]
        self._waiting = sorted([*self._waiting, *again], key=lambda one: one.number)
        return [one for one in owed if one.losses >= LOSSES]

    def forget(self, answers: Round) -> None:
        """Nobody wants the replies of a round any more."""
        self._waiting = [one for one in self._waiting if one.round is not answers]
        for agent in self._agents.values():
            agent.held = {number: one for number, one in agent.held.items() if one.round is not answers}

    def is_done(self, agent: str) -> bool:
        """Whether an agent takes no further requests and owes none."""
        known = self._agents.get(agent)
        return known is not None and known.leaving and not known.busy

    def serving(self) -> int:
        """How many agents there are. Any thread may ask."""
        return len(self._agents)

    def waiting(self) -> int:
        """How many requests wait; the first agent is waited for as one."""
        return len(self._waiting) + (not self._begun)

    def drained(self) -> list[str]:
        """No host is left out for what the model does there."""
        return []

    def rounds(self) -> Iterable[Round]:
        """Those that wait for replies, each once."""
        owed = [*self._waiting, *(one for agent in self._agents.values() for one in agent.held.values())]
        return {id(one.round): one.round for one in owed}.values()

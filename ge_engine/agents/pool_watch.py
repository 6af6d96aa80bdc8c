"""Sees that a session's agents are there or come, and says what is waited for while none is."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Protocol

from ge_engine.contracts import AgentPool, PoolState
from ge_engine.errors import GeError

POOL_SECONDS = 2.0
PATIENT_SECONDS = 5.0
"""Seconds without any agent after which the user is told what is waited for."""
FRUITLESS = 3
"""Agents that may end before they serve, while none does."""


class Served(Protocol):
    """What agents of a pool work on, and how they stand."""

    def serving(self) -> int:
        """How many agents there are."""

    def waiting(self) -> int:
        """How much waits for an agent."""

    def drained(self) -> list[str]:
        """The hosts that are left out."""


class PoolWatch:
    """`wanted` is what is waited for, in words. `refusals` are reasons by the hosts that cannot serve,
    `joined` the agents that ever served."""

    def __init__(self, pool: AgentPool, served: Served, wanted: str) -> None:
        self._pool, self._served, self._wanted = pool, served, wanted
        self.refusals: dict[str, str] = {}
        self.joined: set[str] = set()

    async def keep(self) -> None:
        """Have the pool start what is missing, every now and then. Raises GeError where none can be had."""
        told, tell_at = "", time.monotonic() + PATIENT_SECONDS
        while True:
            state = await asyncio.to_thread(self._pool.keep, [*self._served.drained(), *self.refusals])
            self._require_some_that_serve(state)
            if self._served.serving() or not self._served.waiting():
                told, tell_at = "", time.monotonic() + PATIENT_SECONDS
            elif state.said != told and time.monotonic() > tell_at:
                print(f"Waiting for {self._wanted}: {state.said}", file=sys.stderr)
                told = state.said
            await asyncio.sleep(POOL_SECONDS)

    def refuse(self, host: str, reason: str) -> None:
        """A host cannot serve the session."""
        self.refusals[host] = reason
        print(f"{host} cannot serve this run: {reason}", file=sys.stderr)

    def _require_some_that_serve(self, state: PoolState) -> None:
        """Raises GeError where agents are started and end, one after another, before they serve, and none
        does."""
        if self._served.serving():
            return
        if state.started - state.expected - len(self.joined) < FRUITLESS:
            return
        reasons = [f"{host}: {reason}" for host, reason in sorted(self.refusals.items())] or [state.said]
        raise GeError(
            f"Agents end before they serve this run. {'; '.join(reasons)}",
            "Fix that, and go on with ge resume.",
        )

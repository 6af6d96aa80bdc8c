"""Agents as processes of this machine, for tests of trainings on other machines."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from ge_engine.contracts import AgentExecutor, AgentOrder, AgentPool, Executor, PoolState
from ge_engine.hookspecs import hookimpl


class Started(AgentExecutor):
    """The argument says how many agents."""

    name = "started"
    patience = 5.0

    def __init__(self, cache: Path | None = None) -> None:
        self.pools: list[StartedPool] = []
        self.cache = cache

    def host(self, argument: str) -> str:
        return "127.0.0.1"

    def open(self, argument: str, order: AgentOrder) -> AgentPool:
        pool = StartedPool(order, int(argument or 1), self.cache)
        self.pools.append(pool)
        return pool


class StartedPool(AgentPool):
    """Subprocesses; one that ends is replaced. What they print lies in the run's folder."""

    def __init__(self, order: AgentOrder, wanted: int, cache: Path | None) -> None:
        self.order, self.wanted = order, wanted
        self.agents: list[subprocess.Popen[bytes]] = []
        self.environment = {**os.environ, **({"GE_CACHE": str(cache)} if cache else {})}

    def keep(self, avoid: Sequence[str]) -> PoolState:
        running = [one for one in self.agents if one.poll() is None]
        for _ in range(self.wanted - len(running)):
            running.append(self.start())
        return PoolState(len(self.agents), len(running), self.last_words())

    def start(self) -> subprocess.Popen[bytes]:
        name = str(len(self.agents))
        with open(self.order.folder / f"agent-{name}.log", "wb") as log:
            command = [*self.order.command, "--name", name]
            agent = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        self.agents.append(agent)
        return agent

    def last_words(self) -> str:
        logs = sorted(self.order.folder.glob("agent-*.log"))
        lines = [log.read_text().strip().splitlines() for log in logs]
        return next((words[-1] for words in reversed(lines) if words), "")

    def close(self) -> None:
        for agent in self.agents:
            agent.terminate()
        for agent in self.agents:
            agent.wait()


@hookimpl
def ge_executors() -> Iterable[Executor]:
    """For runs from the command line, with --plugin agents."""
    yield Started()

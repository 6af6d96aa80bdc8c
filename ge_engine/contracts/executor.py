"""Executors: what starts agents, which train a run's candidates, on this machine or on others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AgentOrder:
    """What an agent pool starts.

    `command` starts an agent, which trains, or decodes with a language model; where it is run, Python and the
    engine are those of this command, and its last word is the path of a file with the engine's address and
    token, which only the user can read; it is there when the pool is first asked to keep agents, and not
    before. Further arguments: `--name NAME`, what the
    engine calls the agent, with a number after it, `--linger SECONDS`, for how long it waits for an engine,
    and `--workers N`, how many trainings it runs at once where the run does not say. An agent takes SIGUSR1
    as the request to end when its jobs have ended, SIGTERM as that to end at once; it ends by itself with
    status 0 when the run needs it no more, and with 3 where its machine cannot serve the run. `folder` is for
    logs and scripts of these agents alone. One training, or one prompt, takes `cores` cores and `gpus` GPUs,
    and at most `seconds`.
    """

    command: tuple[str, ...]
    folder: Path
    cores: int
    gpus: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PoolState:
    """`started` agents since the pool was opened, of which `expected` run or wait to be run. `said` tells in
    a sentence how they stand, for a person who waits: of those that ended also why."""

    started: int
    expected: int
    said: str = ""


class AgentPool(ABC):
    """The agents of one session. Its methods are called in one thread, and may take seconds."""

    @abstractmethod
    def keep(self, avoid: Sequence[str]) -> PoolState:
        """Start what is missing of the agents; called every few seconds. On the hosts to `avoid` none serves
        the run well. Raises GeError where agents cannot be started."""

    @abstractmethod
    def close(self) -> None:
        """End all agents, also those that do not run yet. They were told, and are ending by themselves."""


class Executor(ABC):
    """Says where trainings run: as it stands, in processes of the engine's own machine. `--executor
    NAME[:ARGUMENT]` chooses it."""

    name: str

    def check(self, argument: str) -> None:  # noqa: B027
        """Raises ConfigError on an argument that cannot be read, or where what it needs is not installed."""


class AgentExecutor(Executor):
    """Trainings run in agents, on this machine or on others.

    `patience`: seconds without a sign of life after which an agent is lost, and what it had is done by
    others.
    """

    patience: float = 30.0

    def host(self, argument: str) -> str:  # noqa: ARG002
        """How agents reach the engine's machine; "" for its own name."""
        return ""

    @abstractmethod
    def open(self, argument: str, order: AgentOrder) -> AgentPool:
        """A pool of agents for one session. Raises ConfigError."""

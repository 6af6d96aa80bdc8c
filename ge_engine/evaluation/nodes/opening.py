"""A session's jobs on agents that an executor of plugins starts."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from ge_engine.agents.head import Listening
from ge_engine.config import RunConfig
from ge_engine.contracts import AgentExecutor, AgentOrder
from ge_engine.evaluation.executor import ExecutorFactory
from ge_engine.evaluation.nodes.head import NodesExecutor
from ge_engine.evaluation.nodes.remote_session import (
    RemoteSession,
    array_digests,
    asked_of_machines,
    files_beside,
    versions,
)
from ge_engine.evaluation.protocol.messages import SessionSpec
from ge_engine.evaluation.setup import private_paths
from ge_engine.genome import Genome

AGENT = "ge_engine.evaluation.nodes.agent"
ADDRESS = "agents.json"
"""In a run's scratch folder."""


def jobs_on(
    executor: AgentExecutor, seed: Genome, config: RunConfig, scratch: Path, private: Sequence[Path]
) -> ExecutorFactory:
    """What opens a `NodesExecutor` of genomes of `seed`, with a pool of agents of `executor`."""

    def opened(
        session: SessionSpec, arrays: Sequence[memoryview], _slots: int, _devices: Sequence[str], limit: int
    ) -> NodesExecutor:
        argument = config.executor.partition(":")[2]
        file = (scratch / ADDRESS).resolve()
        remote = RemoteSession(
            session=session,
            sources=tuple(one.source.decode("latin-1") for one in seed.files.values()),
            digest=seed.digest,
            asked=asked_of_machines(config),
            private=tuple(map(str, [*private_paths(config, scratch), *private])),
            files=files_beside(session.files.values(), session.modules),
            arrays=array_digests(arrays),
            limit=limit,
            versions=versions(),
        )
        listening = Listening(executor.host(argument) or socket.gethostname(), file, executor.patience)
        order = AgentOrder(
            command=agent_command(file),
            folder=scratch.resolve(),
            cores=config.processes_per_candidate * config.threads,
            gpus=config.gpus_per_candidate,
            seconds=config.timeout,
        )
        return NodesExecutor(listening, executor.open(argument, order), remote, arrays)

    return opened


def agent_command(file: Path) -> tuple[str, ...]:
    """What starts an agent with this Python; `file` tells where its engine listens."""
    return sys.executable, "-P", "-m", AGENT, str(file)

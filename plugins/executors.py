"""The built-in executors: this machine, and machines on which you start agents yourself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ge_engine.contracts import AgentExecutor, AgentOrder, AgentPool, Executor, PoolState
from ge_engine.errors import ConfigError
from ge_engine.hookspecs import hookimpl

_HOST = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+")
"""A name of a host, or an address of version 4 or 6, without a port."""


class Local(Executor):
    """Processes of the engine's own machine."""

    name = "local"

    def check(self, argument: str) -> None:
        if argument:
            raise ConfigError(
                f"The executor local takes nothing, and not {argument!r}.",
                "--workers says how many trainings run at once.",
            )


class Nodes(AgentExecutor):
    """Whatever machines an agent is started on by hand, as over ssh. The argument is the name or address by
    which they reach this one."""

    name = "nodes"

    def check(self, argument: str) -> None:
        if argument and not _HOST.fullmatch(argument):
            raise ConfigError(
                f"The executor nodes takes the name or address of this machine, and not {argument!r}.",
                "For example: --executor nodes:10.0.0.5.",
            )

    def host(self, argument: str) -> str:
        return argument

    def open(self, argument: str, order: AgentOrder) -> AgentPool:  # noqa: ARG002
        return _ByHand(order)


class _ByHand(AgentPool):
    def __init__(self, order: AgentOrder) -> None:
        self._command = " ".join(order.command)

    def keep(self, avoid: Sequence[str]) -> PoolState:  # noqa: ARG002
        return PoolState(0, 0, f"start an agent on each: {self._command}")

    def close(self) -> None:
        """Agents end by themselves."""


@hookimpl
def ge_executors() -> Iterable[Executor]:
    """Where trainings run, without any cluster's software."""
    yield Local()
    yield Nodes()

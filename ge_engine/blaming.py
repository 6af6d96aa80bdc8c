"""Wraps what plugins bring, so that their exceptions become errors that name plugin, version and hook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from ge_engine.config import RunConfig
from ge_engine.contracts import (
    AgentExecutor,
    AgentOrder,
    AgentPool,
    Change,
    Dataset,
    Executor,
    Measurement,
    MoveSource,
    Objective,
    PoolState,
    Task,
)
from ge_engine.errors import GeError, PluginError, with_place
from ge_engine.registry import Registry

FIX = "Fix it, choose another, or leave the plugin out with --no-plugin."


@contextmanager
def blaming(registry: Registry, hook: str, name: str) -> Iterator[None]:
    """Raises PluginError for any exception of the block but a GeError, which explains itself."""
    try:
        yield
    except GeError:
        raise
    except Exception as error:
        raise PluginError(
            f"{name!r} of {registry.blame(hook, name)} failed: {with_place(error)}.",
            FIX,
        ) from error


def blamed_objective(objective: Objective, registry: Registry) -> Objective:
    """The objective; a failing measurement raises PluginError."""
    return _Objective(objective, registry)


def blamed_tasks(registry: Registry) -> Mapping[str, Task]:
    """All tasks; one that cannot load its data for a fault of its own raises PluginError."""
    return {name: _Task(task, registry) for name, task in registry.tasks.items()}


def blamed_executor(executor: Executor, registry: Registry) -> Executor:
    """The executor; a fault of its own, or of its agents' pool, raises PluginError."""
    return _Agents(executor, registry) if isinstance(executor, AgentExecutor) else executor


def blamed_moves(registry: Registry, names: Iterable[str]) -> tuple[MoveSource, ...]:
    """The sources `names`; one that fails raises PluginError."""
    return tuple(_Moves(registry.moves[name], registry) for name in names)


class _Moves(MoveSource):
    def __init__(self, inner: MoveSource, registry: Registry) -> None:
        self.name = inner.name
        self._inner, self._registry = inner, registry

    def changes(self, code: str, classes: Sequence[str]) -> list[Change]:
        with blaming(self._registry, "ge_moves", self.name):
            return list(self._inner.changes(code, classes))


class _Objective(Objective):
    def __init__(self, inner: Objective, registry: Registry) -> None:
        self.name, self.direction = inner.name, inner.direction
        self.unit, self.format = inner.unit, inner.format
        self._inner, self._registry = inner, registry

    def measure(self, measurement: Measurement) -> float:
        with blaming(self._registry, "ge_objectives", self.name):
            return self._inner.measure(measurement)

    def error(self, measurement: Measurement) -> float | None:
        with blaming(self._registry, "ge_objectives", self.name):
            return self._inner.error(measurement)

    def chance(self, classes: int) -> float | None:
        with blaming(self._registry, "ge_objectives", self.name):
            return self._inner.chance(classes)


class _Task(Task):
    def __init__(self, inner: Task, registry: Registry) -> None:
        self.name = inner.name
        self._inner, self._registry = inner, registry

    def load(self, argument: str, config: RunConfig) -> Dataset:
        with blaming(self._registry, "ge_tasks", self.name):
            return self._inner.load(argument, config)


class _Agents(AgentExecutor):
    def __init__(self, inner: AgentExecutor, registry: Registry) -> None:
        self.name, self.patience = inner.name, inner.patience
        self._inner, self._registry = inner, registry

    def host(self, argument: str) -> str:
        with blaming(self._registry, "ge_executors", self.name):
            return self._inner.host(argument)

    def open(self, argument: str, order: AgentOrder) -> AgentPool:
        with blaming(self._registry, "ge_executors", self.name):
            return _Pool(self.name, self._inner.open(argument, order), self._registry)


class _Pool(AgentPool):
    def __init__(self, name: str, inner: AgentPool, registry: Registry) -> None:
        self._name, self._inner, self._registry = name, inner, registry

    def keep(self, avoid: Sequence[str]) -> PoolState:
        with blaming(self._registry, "ge_executors", self._name):
            return self._inner.keep(avoid)

    def close(self) -> None:
        with blaming(self._registry, "ge_executors", self._name):
            self._inner.close()

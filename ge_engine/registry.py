"""The plugin manager: load, validate, sort, freeze. What a run uses is chosen by name."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from types import MappingProxyType
from typing import Any, TypeVar, cast, get_args, get_type_hints

import pluggy

from ge_engine import hookspecs
from ge_engine.config import RunConfig
from ge_engine.contracts import (
    Check,
    Evaluator,
    Executor,
    Grammar,
    LanguageModelFactory,
    MoveSource,
    Objective,
    Operator,
    Persona,
    Selector,
    Task,
    inheriting,
)
from ge_engine.errors import ConfigError, PluginError, with_place

T = TypeVar("T")
REGISTERING = tuple(name for name in vars(hookspecs) if name.startswith("ge_") and name != "ge_event")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a plugin came from: its name, module, distribution and version ("" for a file at hand)."""

    name: str
    module: str
    distribution: str
    version: str
    hooks: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name!r} {self.version}".rstrip()


@dataclass(frozen=True, slots=True)
class Registry:
    """All registered objects, by hook and name, sorted by name. Frozen: a run cannot change it."""

    operators: Mapping[str, Operator]
    personas: Mapping[str, Persona]
    selectors: Mapping[str, Selector]
    checks: Mapping[str, Check]
    objectives: Mapping[str, Objective]
    evaluators: Mapping[str, Evaluator]
    executors: Mapping[str, Executor]
    tasks: Mapping[str, Task]
    language_models: Mapping[str, LanguageModelFactory]
    grammars: Mapping[str, Grammar]
    moves: Mapping[str, MoveSource]
    origins: tuple[Origin, ...]
    owners: Mapping[tuple[str, str], str]
    _manager: pluggy.PluginManager

    def blame(self, hook: str, name: str) -> str:
        """Whose `name` it is, for a message: "plugin 'demo' 1.2.3 (ge_operators)"."""
        return f"plugin {self.origin_of(hook, name)} ({hook})"

    def origin_of(self, hook: str, name: str) -> Origin:
        """The plugin that registers `name`."""
        return self._origin(self.owners.get((hook, name), "unknown"))

    def event(self, name: str, data: Mapping[str, Any]) -> tuple[PluginError, ...]:
        """Tell every observer; the errors of those that failed, each naming plugin, version and hook."""
        failed = []
        for implementation in self._manager.hook.ge_event.get_hookimpls():
            plugin = implementation.plugin_name
            try:
                implementation.function(**_subset(implementation.argnames, {"name": name, "data": data}))
            except Exception as error:
                message = f"The plugin {self._origin(plugin)} failed in ge_event: {with_place(error)}."
                failed.append(PluginError(message, f"Leave it out with --no-plugin {plugin}, or fix it."))
        return tuple(failed)

    def _origin(self, plugin: str) -> Origin:
        known = {origin.name: origin for origin in self.origins}
        return known.get(plugin, Origin(plugin, "", "", "", ()))


def choose(table: Mapping[str, T], name: str, what: str) -> T:
    """Look up `name`. Raises ConfigError that lists what there is."""
    if name not in table:
        raise ConfigError(f"There is no {what} {name!r}.", f"There are: {', '.join(table) or 'none'}.")
    return table[name]


def trains(registry: Registry, config: RunConfig) -> bool:
    """Whether the run's evaluator trains with the training settings, on a task."""
    evaluator = registry.evaluators.get(config.evaluator)
    return evaluator is not None and evaluator.takes_task


def in_use(registry: Registry, config: RunConfig) -> frozenset[tuple[str, str]]:
    """The (hook, name) pairs that a run with `config` would use. Grammars are used all, unless the run holds
    every prompt to one. Names that nothing registers are left out."""
    islands = [config.on_island(number) for number in range(config.islands)]
    chosen: Mapping[str, Iterable[str]] = {
        "ge_operators": config.operators,
        "ge_personas": [name for one in islands for name in one.personas],
        "ge_selectors": (config.parent_selector, config.elite_selector),
        "ge_checks": config.checks,
        "ge_objectives": list(config.objective_names),
        "ge_evaluators": (config.evaluator,),
        "ge_executors": [one.partition(":")[0] for one in (config.executor, config.executor_llm)],
        "ge_tasks": (config.task.partition(":")[0],),
        "ge_language_models": [name.partition(":")[0] for name in config.models],
        "ge_grammars": (config.grammar,) if config.grammar else registry.grammars,
        "ge_moves": config.moves,
    }
    return (
        frozenset((hook, name) for hook, names in chosen.items() for name in names) & registry.owners.keys()
    )


def load_registry(modules: Iterable[str] = (), blocked: Iterable[str] = ()) -> Registry:
    """Load entry points of group `ge_engine` and the `modules` at hand, except those `blocked`.

    Raises:
        PluginError: a plugin cannot be imported, implements an unknown hook or argument, is given
            twice, or two plugins register one name.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    origins: list[Origin] = []
    barred = set(blocked)
    for name, module, distribution, version in sorted(_found(modules), key=lambda entry: entry[0]):
        if name in barred:
            barred.discard(name)
            continue
        origins.append(_register(manager, name, module, distribution, version))
    if barred:
        raise ConfigError(f"There is no plugin {sorted(barred)[0]!r} to leave out.", "See `ge plugins`.")
    _check_pending(manager)
    tables: dict[str, Mapping[str, Any]] = {}
    owners: dict[tuple[str, str], str] = {}
    for hook in REGISTERING:
        tables[hook.removeprefix("ge_")] = _collect(manager, hook, owners, origins)
    return Registry(
        **cast("dict[str, Any]", tables),
        origins=tuple(origins),
        owners=MappingProxyType(owners),
        _manager=manager,
    )


def _found(modules: Iterable[str]) -> list[tuple[str, str, str, str]]:
    entries = [
        (
            entry.name,
            entry.value,
            entry.dist.name if entry.dist else "",
            entry.dist.version if entry.dist else "",
        )
        for entry in metadata.entry_points(group=hookspecs.PROJECT)
    ]
    known = {entry[1] for entry in entries}
    for module in modules:
        if module in known:
            raise PluginError(
                f"The plugin {module!r} is given twice.", "Leave out --plugin: it is installed."
            )
        known.add(module)
        entries.append((module, module, "", ""))
    return list(dict.fromkeys(entries))


def _register(manager: pluggy.PluginManager, name: str, module: str, dist: str, version: str) -> Origin:
    label = Origin(name, module, dist, version, ())
    if not dist and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        plugin = importlib.import_module(module)
    except Exception as error:
        raise PluginError(
            f"The plugin {label} ({module}) cannot be imported: {type(error).__name__}: {error}.",
            _after_import(error, name, module, dist),
        ) from error
    try:
        manager.register(plugin, name)
    except pluggy.PluginValidationError as error:
        raise PluginError(
            f"The plugin {label} ({module}) breaks a hook: {_one_line(error)}.",
            f"Fix it, or leave it out with --no-plugin {name}.",
        ) from error
    except ValueError as error:
        raise PluginError(f"The plugin {name!r} ({module}) is given twice.", "Name it once.") from error
    hooks = tuple(sorted(caller.name for caller in manager.get_hookcallers(plugin) or ()))
    return Origin(name, module, dist, version, hooks)


def _after_import(error: Exception, name: str, module: str, dist: str) -> str:
    """The next step after an import that failed: a module that is not there was perhaps misspelt."""
    if dist:
        return f"Fix it, uninstall {dist}, or leave it out with --no-plugin {name}."
    if isinstance(error, ModuleNotFoundError) and module.partition(".")[0] == error.name:
        return "Check the name: --plugin takes a module that Python finds here or has installed."
    return f"Fix it, or leave out --plugin {module}."


def _check_pending(manager: pluggy.PluginManager) -> None:
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(
            f"A plugin implements a hook that does not exist: {_one_line(error)}.",
            f"Hooks are: {', '.join(REGISTERING)}, ge_event.",
        ) from error


def _collect(
    manager: pluggy.PluginManager, hook: str, owners: dict[tuple[str, str], str], origins: Iterable[Origin]
) -> Mapping[str, Any]:
    known = {origin.name: origin for origin in origins}
    table: dict[str, Any] = {}
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        owner = known[implementation.plugin_name]
        for name, item in _named(owner, hook, implementation.function):
            if name in table:
                first = known[owners[hook, name]]
                raise PluginError(
                    f"Two plugins register {name!r} in {hook}: {first} and {owner}.",
                    f"Leave one out with --no-plugin {owner.name}.",
                )
            table[name] = item
            owners[hook, name] = owner.name
    return MappingProxyType(dict(sorted(table.items())))


def _named(owner: Origin, hook: str, provide: Callable[[], Iterable[Any]]) -> list[tuple[str, Any]]:
    """What one implementation of a hook provides, by name."""
    leave_out = f"Leave it out with --no-plugin {owner.name}, or fix it."
    try:
        provided = [(getattr(item, "name", None), item) for item in provide()]
    except Exception as error:
        raise PluginError(f"The plugin {owner} failed in {hook}: {with_place(error)}.", leave_out) from error
    for name, item in provided:
        if not isinstance(name, str) or not name:
            raise PluginError(
                f"The plugin {owner} returned an object without a name from {hook}: {item!r}.", leave_out
            )
    (contract,) = get_args(get_type_hints(getattr(hookspecs, hook))["return"])
    return [(name, inheriting(contract, item)) for name, item in provided if name]


def _subset(names: Iterable[str], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in names}


def _one_line(error: Exception) -> str:
    return " ".join(inspect.cleandoc(str(error)).split()).rstrip(".")

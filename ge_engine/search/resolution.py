"""Whether all that a run's settings name is there, before anything is made or started."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from itertools import chain

from ge_engine.blaming import blaming
from ge_engine.conditions import parse_condition
from ge_engine.config import RunConfig
from ge_engine.contracts import Measurement, Objective
from ge_engine.errors import ConfigError, PluginError
from ge_engine.evaluation.figures import RESERVED, FigureReader
from ge_engine.notation import SHARE, Notation
from ge_engine.outcome import INHERITED, MEASURED_BESIDES
from ge_engine.population import Direction
from ge_engine.registry import Registry, choose
from ge_engine.search.models import factory_of, require_machines, shares_of
from ge_engine.tolerances import parse_tolerances


def require_names(config: RunConfig, registry: Registry) -> None:
    """Look up every plugin object that the run will use.

    Raises:
        ConfigError: an unknown name, whose hint lists what there is; or what a part needs is not installed.
    """
    for name in config.operators:
        operator = choose(registry.operators, name, "operator")
        with blaming(registry, "ge_operators", name):
            operator.check()
    for number in range(config.islands):
        for name in config.on_island(number).personas:
            choose(registry.personas, name, "persona")
    for name in (config.parent_selector, config.elite_selector):
        choose(registry.selectors, name, "selector")
    for spec, _ in chain.from_iterable(shares_of(config)):
        factory_of(spec, registry)
    require_machines(config, registry)
    for name in config.checks:
        choose(registry.checks, name, "check")
    for name in config.moves:
        choose(registry.moves, name, "source of moves")
    if config.grammar:
        choose(registry.grammars, config.grammar, "grammar")
    evaluator = choose(registry.evaluators, config.evaluator, "evaluator")
    if config.in_stages and not evaluator.takes_epochs:
        name, flag = ("halving", "--halving") if config.halving else ("budget_rule", "--budget-rule")
        raise ConfigError(
            f"The evaluator {config.evaluator!r} does not train in stages, which {name} needs.",
            f"Leave {flag} out, or give the evaluator `takes_epochs` and heed `Job.epochs`.",
        )
    if config.inherit and not evaluator.inherits:
        raise ConfigError(
            f"The evaluator {config.evaluator!r} trains no child from its parent's weights.",
            "Leave --inherit out, or give the evaluator `inherits` and heed `Job.parent`.",
        )
    if config.screen > 1 and not evaluator.screens:
        raise ConfigError(
            f"The evaluator {config.evaluator!r} tells nothing by which children could be chosen before "
            "training.",
            "Leave --screen out, or give it `screens` and have its probes tell synflow or jacob_cov.",
        )
    name, _, argument = config.executor.partition(":")
    executor = choose(registry.executors, name, "executor")
    evaluator.on(executor)
    with blaming(registry, "ge_executors", name):
        executor.check(argument)
    if evaluator.takes_task:
        choose(registry.tasks, config.task.partition(":")[0], "task")


def require_conditions(config: RunConfig) -> None:
    """Read what the settings say of objectives, before a run is made or changed for them.

    Raises:
        ConfigError: `stop_when` or `tolerance` cannot be read, or names no objective; or what is said of how
            a program's figures are read.
    """
    FigureReader.of(config.objective_names, config.metrics, config.metrics_file)
    parse_tolerances(config.tolerance, config.objective_names)
    if config.stop_when:
        parse_condition(config.stop_when, config.objective_names)


@dataclass(frozen=True, slots=True)
class OwnObjective(Objective):
    """A figure of the user's own, which a program, a function or an evaluator measures. It is written as a
    plain number."""

    name: str
    direction: Direction

    def measure(self, measurement: Measurement) -> float:
        return measurement.facts[self.name]


def chosen_objectives(config: RunConfig, registry: Registry) -> dict[str, Objective]:
    """The run's objectives by name: plugins' parts, and where another evaluator than a training measures
    them, figures of the user's own, "rmse:min". Raises ConfigError on an unknown one."""
    evaluator = choose(registry.evaluators, config.evaluator, "evaluator")
    chosen: dict[str, Objective] = {}
    for spec in config.objectives:
        name, _, direction = spec.partition(":")
        if name in registry.objectives or evaluator.takes_task:
            chosen[name] = choose(registry.objectives, name, "objective")
        else:
            chosen[name] = _own(name, direction, registry)
    return chosen


def _own(name: str, direction: str, registry: Registry) -> OwnObjective:
    if name in RESERVED or not name.strip():
        raise ConfigError(
            f"An objective cannot be called {name!r}.",
            f"Give the figure another name; {' and '.join(RESERVED)} mean something else there.",
        )
    if direction not in ("min", "max"):
        raise ConfigError(
            f"Nobody says whether a small or a large {name!r} is better.",
            f"If it is a figure of your own: --objective {shlex.quote(f'{name}:min')} or "
            f"--objective {shlex.quote(f'{name}:max')}. "
            f"These are known: {', '.join(registry.objectives)}.",
        )
    return OwnObjective(name, "min" if direction == "min" else "max")


def objectives_of(config: RunConfig, registry: Registry) -> dict[str, Direction]:
    """The chosen objectives with their directions: the objective's own, or the one that the settings
    give it ("latency:max"). Raises ConfigError on an unknown one."""
    wanted = {spec.partition(":")[0]: spec.partition(":")[2] for spec in config.objectives}
    given: dict[str, Direction] = {"min": "min", "max": "max"}
    chosen = chosen_objectives(config, registry)
    return {name: given.get(wanted[name], one.direction) for name, one in chosen.items()}


def notations_of(config: RunConfig, registry: Registry) -> dict[str, Notation]:
    """How figures are written: of the chosen objectives, and of what a training measures besides. Raises
    PluginError on a format that is none."""
    besides = {name: one for name, one in registry.objectives.items() if name in MEASURED_BESIDES}
    chosen = chosen_objectives(config, registry)
    known = {name: _notation(one, registry) for name, one in {**besides, **chosen}.items()}
    return {INHERITED: SHARE, **known} if config.inherit else known


def _notation(objective: Objective, registry: Registry) -> Notation:
    name = objective.name
    try:
        return Notation(objective.unit, objective.format)
    except ValueError as error:
        raise PluginError(
            f"The objective {name!r} of {registry.blame('ge_objectives', name)} cannot be written: {error}.",
            "Give it another `format`; with none the engine chooses.",
        ) from error

"""Whether all that a run's settings name is there, before anything is made or started."""

from __future__ import annotations

from itertools import chain

from ge_engine.config import RunConfig
from ge_engine.errors import ConfigError, PluginError
from ge_engine.notation import Notation
from ge_engine.population import Direction
from ge_engine.registry import Registry, choose
from ge_engine.search.models import factory_of, shares_of


def require_names(config: RunConfig, registry: Registry) -> None:
    """Look up every plugin object that the run will use.

    Raises:
        ConfigError: an unknown name; the hint lists what there is.
    """
    for name in config.operators:
        choose(registry.operators, name, "operator")
    for number in range(config.islands):
        for name in config.on_island(number).personas:
            choose(registry.personas, name, "persona")
    for name in (config.parent_selector, config.elite_selector):
        choose(registry.selectors, name, "selector")
    for spec, _ in chain.from_iterable(shares_of(config)):
        factory_of(spec, registry)
    for name in config.checks:
        choose(registry.checks, name, "check")
    for name in config.moves:
        choose(registry.moves, name, "source of moves")
    if config.grammar:
        choose(registry.grammars, config.grammar, "grammar")
    evaluator = choose(registry.evaluators, config.evaluator, "evaluator")
    if config.halving and not evaluator.takes_epochs:
        raise ConfigError(
            f"The evaluator {config.evaluator!r} does not train in stages, which halving needs.",
            "Leave --halving out, or give the evaluator `takes_epochs` and heed `Job.epochs`.",
        )
    if evaluator.takes_task:
        choose(registry.tasks, config.task.partition(":")[0], "task")


def objectives_of(config: RunConfig, registry: Registry) -> dict[str, Direction]:
    """The chosen objectives with their directions: the objective's own, or the one that the settings
    give it ("latency:max"). Raises ConfigError on an unknown one."""
    directions: dict[str, Direction] = {}
    evaluator = choose(registry.evaluators, config.evaluator, "evaluator")
    for spec in config.objectives:
        name, _, wanted = spec.partition(":")
        if name not in registry.objectives and not evaluator.takes_task:
            raise ConfigError(
                f"There is no objective {name!r}.",
                "Give your figure the name of one that is there, such as loss (smaller is better) or "
                "accuracy (larger is), or bring it as a plugin. There are: "
                f"{', '.join(registry.objectives)}.",
            )
        own = choose(registry.objectives, name, "objective").direction
        directions[name] = "min" if wanted == "min" else "max" if wanted == "max" else own
    return directions


def notations_of(config: RunConfig, registry: Registry) -> dict[str, Notation]:
    """How figures of the chosen objectives are written. Raises PluginError on a format that is none."""
    return {name: _notation(name, registry) for name in config.objective_names}


def _notation(name: str, registry: Registry) -> Notation:
    objective = registry.objectives[name]
    try:
        return Notation(objective.unit, objective.format)
    except ValueError as error:
        raise PluginError(
            f"The objective {name!r} of {registry.blame('ge_objectives', name)} cannot be written: {error}.",
            "Give it another `format`; with none the engine chooses.",
        ) from error

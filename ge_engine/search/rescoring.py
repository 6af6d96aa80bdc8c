"""What a session of further trainings decides for itself: a run's folder may be somebody else's."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path

from ge_engine.config import RunConfig, Score, evaluator_settings, unused_settings
from ge_engine.config.unused import EPOCHS
from ge_engine.errors import ConfigError
from ge_engine.registry import Registry


@dataclass(frozen=True, slots=True)
class OwnSettings:
    """What a session decides for itself, and never the run's folder, which may be somebody else's: the
    evaluator with its argument, its project, the sandbox, and trainings at once (None: as the run had
    them). It trains on this machine."""

    evaluator: str = field(default_factory=lambda: RunConfig().evaluator)
    evaluator_argument: str = ""
    sandbox: str = "auto"
    workers: int | None = None
    project: str = ""

    @classmethod
    def of(
        cls, evaluator: str | Score, argument: str, sandbox: str, workers: int | None, project: str = ""
    ) -> OwnSettings:
        """With an evaluator that may be a function, or name one. Raises ConfigError as
        `evaluator_settings`."""
        named = {"evaluator_argument": argument, **evaluator_settings(evaluator)}
        return cls(sandbox=sandbox, workers=workers, project=project, **named)


def settings_with_own(folder: Path, stored: RunConfig, own: OwnSettings, registry: Registry) -> RunConfig:
    """The settings of a run for further trainings, with the session's own.

    Raises:
        ConfigError: the run is scored by another evaluator than the session's, or in a project and the
            session not, or the other way round.
    """
    if (stored.evaluator, stored.evaluator_argument) != (own.evaluator, own.evaluator_argument):
        raise _unasked(folder, stored, registry)
    if bool(stored.project) != bool(own.project):
        raise _other_project(folder, stored)
    return replace(
        stored,
        workers=stored.workers if own.workers is None else own.workers,
        sandbox=own.sandbox,
        trackers=(),
        project=own.project,
        executor=RunConfig().executor,
        executor_llm=RunConfig().executor_llm,
        workdir=".",
        pass_env=(),
    )


def settings_for(config: RunConfig, epochs: int, registry: Registry) -> RunConfig:
    """The settings of trainings of more `epochs` than the run's, with as much more time.

    Raises:
        ConfigError: these are no more, or what trains the run is told no epochs.
    """
    own = config.recipe.epochs
    if epochs <= own:
        raise ConfigError(
            f"The run trained for {own} epochs, and {epochs} are no more.", "Give more with --epochs."
        )
    evaluator = registry.evaluators.get(config.evaluator)
    if evaluator is None or not evaluator.takes_epochs or EPOCHS in unused_settings(config):
        raise ConfigError(
            f"The evaluator {config.evaluator!r} of the run is told no epochs, and cannot train for longer.",
            "Leave --epochs out.",
        )
    recipe = replace(config.recipe, epochs=epochs)
    return replace(config, recipe=recipe, timeout=config.timeout * epochs / own)


def _other_project(folder: Path, stored: RunConfig) -> ConfigError:
    if not stored.project:
        return ConfigError(f"The program of the run {folder} runs in no project.", "Leave --project out.")
    return ConfigError(
        f"The program of the run {folder} runs in a tree of the project {stored.project!r}, which is not "
        "read unless you say so.",
        f"If you know it, give it yourself: --project {shlex.quote(stored.project)}",
    )


def _unasked(folder: Path, stored: RunConfig, registry: Registry) -> ConfigError:
    """What the run's folder would have run, which a session must ask for itself."""
    evaluator = registry.evaluators.get(stored.evaluator)
    what, hint = (
        evaluator.described(stored.evaluator_argument)
        if evaluator
        else (f"the evaluator {stored.evaluator!r}", "Install the plugin that brings it.")
    )
    return ConfigError(f"The run {folder} is scored by {what}, which it cannot start by itself.", hint)

"""The public hooks. A plugin implements those it needs and returns named objects.

Hooks register, names choose: nothing is called because it was registered, and the order in which
plugins load changes no run. `ge_event` alone is called during a run, and cannot change it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pluggy

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
)
from ge_engine.contracts import DeprecatedHook as DeprecatedHook

PROJECT = "ge_engine"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def ge_operators() -> Iterable[Operator]:  # type: ignore[empty-body]
    """Operators that propose patches: mutation, mating, Evolution of Thought, or your own."""


@hookspec
def ge_personas() -> Iterable[Persona]:  # type: ignore[empty-body]
    """Character-role-play frames that are put around an operator's prompt."""


@hookspec
def ge_selectors() -> Iterable[Selector]:  # type: ignore[empty-body]
    """Multi-objective selectors for parents and elites."""


@hookspec
def ge_checks() -> Iterable[Check]:  # type: ignore[empty-body]
    """Checks of a child, before it is trained."""


@hookspec
def ge_objectives() -> Iterable[Objective]:  # type: ignore[empty-body]
    """Figures to optimise, each with a direction."""


@hookspec
def ge_evaluators() -> Iterable[Evaluator]:  # type: ignore[empty-body]
    """Ways to probe and score a genome."""


@hookspec
def ge_executors() -> Iterable[Executor]:  # type: ignore[empty-body]
    """Where trainings run, chosen by `--executor NAME[:ARGUMENT]`."""


@hookspec
def ge_tasks() -> Iterable[Task]:  # type: ignore[empty-body]
    """Data sets for the built-in trainer."""


@hookspec
def ge_language_models() -> Iterable[LanguageModelFactory]:  # type: ignore[empty-body]
    """Language models, opened by `--llm NAME[:ARGUMENT]`."""


@hookspec
def ge_grammars() -> Iterable[Grammar]:  # type: ignore[empty-body]
    """Forms of answers: how to ask, how to constrain decoding, how to read the reply."""


@hookspec
def ge_moves() -> Iterable[MoveSource]:  # type: ignore[empty-body]
    """Sources of structural moves, besides the built-in ones."""


@hookspec
def ge_event(name: str, data: Mapping[str, Any]) -> None:
    """Observe a run. `name` is the event ("generation_started", "reply", ...), `data` its record."""

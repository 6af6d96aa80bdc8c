"""What a session that rescores a run settles for itself: a run's folder may be somebody else's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.errors import ConfigError


@dataclass(frozen=True, slots=True)
class OwnSettings:
    """What a session decides for itself, and never the run's folder, which may be somebody else's: the
    evaluator with its argument, the sandbox, and trainings at once (None: as the run had them)."""

    evaluator: str = "train"
    evaluator_argument: str = ""
    sandbox: str = "auto"
    workers: int | None = None


def settled(folder: Path, stored: RunConfig, own: OwnSettings, seeds: int) -> RunConfig:
    """The settings of a run for `seeds` further trainings of its finalists, with the session's own.

    Raises:
        ConfigError: the run is scored by another evaluator than the session's.
    """
    if (stored.evaluator, stored.evaluator_argument) != (own.evaluator, own.evaluator_argument):
        raise _unasked(folder, stored)
    return replace(
        stored,
        rescore_seeds=seeds,
        workers=stored.workers if own.workers is None else own.workers,
        sandbox=own.sandbox,
        trackers=(),
    )


def _unasked(folder: Path, stored: RunConfig) -> ConfigError:
    """What the run's folder would have run, which a session must ask for itself."""
    told = {
        "train": ("training", "Leave --command and --evaluator out."),
        "command": (
            f"the program {stored.evaluator_argument!r}",
            "If you know it, give it yourself: --command with the same words.",
        ),
        "function": (
            f"the function {stored.evaluator_argument!r}",
            f"If you know it, give it yourself: --evaluator {stored.evaluator_argument}",
        ),
    }
    by = f"the evaluator {stored.evaluator!r}"
    what, hint = told.get(stored.evaluator, (by, f"If you know it: --evaluator {stored.evaluator}"))
    return ConfigError(f"The run {folder} is scored by {what}, which it cannot start by itself.", hint)

"""Optuna's TPE on scored individuals: a study in memory that is built from them each time, and asked."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ge_engine.contracts import Direction, Individual
from ge_engine.structure.number_ranges import NumberRange
from ge_plugins.tuning_space import Parameter, Space

if TYPE_CHECKING:
    from optuna.distributions import FloatDistribution, IntDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

STARTUP = 10
"""Trials before which values are drawn at random from their ranges (Optuna's default)."""


class Tpe:
    """The tree-structured Parzen estimator (Bergstra, Bardenet, Bengio and Kegl, NeurIPS 2011) of several
    objectives (Ozaki, Tanigaki, Watanabe, Nomura and Onishi, JAIR 73, 2022): the run looks for a front, and
    a weighted sum would choose one point of it. Figures are as selection sees them (`Ties.seen`), so that it
    learns nothing from differences within chance. What it suggests follows from its arguments alone."""

    def __init__(
        self,
        space: Space,
        directions: Mapping[str, Direction],
        seen: Mapping[str, Mapping[str, float]],
        seed: int,
    ) -> None:
        """`seen` are the figures of each trial's individual by its id; `seed` is of 32 bits."""
        self._parameters = {_label(number): one for number, one in enumerate(space.parameters)}
        self._distributions = {label: _distribution(one.range) for label, one in self._parameters.items()}
        with _quiet():
            self._study = _study(directions, seed)
            for values, one in space.trials:
                self._study.add_trial(self._trial(values, one, directions, seen))

    def suggest(self, parameters: Sequence[Parameter]) -> dict[Parameter, int | float]:
        """Values for some of the space's parameters; another call gives others."""
        labels = {one: label for label, one in self._parameters.items()}
        asked = {labels[one]: self._distributions[labels[one]] for one in parameters}
        with _quiet():
            drawn = self._study.ask(fixed_distributions=dict(asked)).params
        return {one: one.range.legal(_read(one.range, drawn[labels[one]])) for one in parameters}

    def _trial(
        self,
        values: Sequence[int | float],
        one: Individual,
        directions: Mapping[str, Direction],
        seen: Mapping[str, Mapping[str, float]],
    ) -> FrozenTrial:
        from optuna.trial import create_trial

        written = {
            label: _written(parameter.range, parameter.of(tuple(values)))
            for label, parameter in self._parameters.items()
        }
        figures = [seen[one.id][name] for name in directions]
        return create_trial(params=written, distributions=dict(self._distributions), values=figures)


def _label(number: int) -> str:
    return f"{number:04}"


def _study(directions: Mapping[str, Direction], seed: int) -> Study:
    import optuna

    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
    ways = ["maximize" if way == "max" else "minimize" for way in directions.values()]
    return optuna.create_study(sampler=sampler, directions=ways, study_name="tune")


def _distribution(ranged: NumberRange) -> FloatDistribution | IntDistribution:
    from optuna.distributions import FloatDistribution, IntDistribution

    match ranged.kind:
        case "width" | "count":
            return IntDistribution(int(ranged.low), int(ranged.high), log=ranged.kind == "width")
        case "share":
            return FloatDistribution(ranged.low, ranged.high)
        case "remainder":
            return FloatDistribution(1 - ranged.high, 1 - ranged.low, log=True)
    return FloatDistribution(ranged.low, ranged.high, log=True)


def _written(ranged: NumberRange, value: int | float) -> int | float:
    """The value as its distribution has it: of a remainder what it lacks to one; of one that the range leaves
    out, the next that it has."""
    inside = min(max(value, ranged.low), ranged.high)
    if ranged.kind == "remainder":
        return min(max(1 - inside, 1 - ranged.high), 1 - ranged.low)
    return type(value)(inside)


def _read(ranged: NumberRange, value: int | float) -> int | float:
    return 1 - value if ranged.kind == "remainder" else value


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna says nothing on the terminal, and its logger is left as it was."""
    logger = logging.getLogger("optuna")
    import optuna  # noqa: F401 (its import sets the level)

    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)

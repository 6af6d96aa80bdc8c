"""The numbers of a genome that an optimiser may set, and the individuals that its trials are read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ge_engine.contracts import Context, Individual
from ge_engine.outcome import Failed, Rejected
from ge_engine.structure.number_ranges import NumberRange, range_of
from ge_engine.structure.tuned import Numbers, NumberSite, numbers_of

Values = tuple[int | float, ...]
UNFIT = ("build", "shape")
"""Checks that reject what does not fit together."""
TRIES = 2
"""Children without a fit after which an integer stays as it is."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Numbers that are set together: the indices of their sites, of which the first gives the name. `fits`:
    a network was scored with another value of it, or it is a float, which changes no shape."""

    name: str
    places: tuple[int, ...]
    range: NumberRange
    fits: bool

    def of(self, values: Values) -> int | float:
        """Its value among those of all sites."""
        return values[self.places[0]]


@dataclass(frozen=True, slots=True)
class Space:
    """What may be set in a genome. `trials` are the scored individuals of its structure, with the values of
    all of its `sites`; `known` also those without a score."""

    sites: tuple[NumberSite, ...]
    values: Values
    parameters: tuple[Parameter, ...]
    trials: tuple[tuple[Values, Individual], ...]
    known: frozenset[Values]


def space_of(context: Context) -> Space:
    """The space of the context's genome, by what the run knows.

    Two genomes are relatives where they differ in numbers alone that an optimiser may set. Equal widths are
    one parameter until a scored relative shows that they need not be equal. An integer of which no other
    value was ever scored is tried with no other such at once, and after `TRIES` children that did not fit not
    again.
    """
    numbers = numbers_of(context.genome)
    everybody = [
        (found, one)
        for one in (context.run.seed, *context.memory.settled())
        if (found := numbers_of(one.genome)).structure == numbers.structure
    ]
    oldest = next((found for found, one in everybody if one.scored), numbers)
    free = [index for index, site in enumerate(oldest.sites) if range_of(site)]
    fixed = _fixed(numbers, free)
    relatives = [(found.values, one) for found, one in everybody if _fixed(found, free) == fixed]
    trials = tuple((values, one) for values, one in relatives if one.scored)
    unfit = [values for values, one in relatives if _is_unfit(one)]
    mine = [index for index in free if numbers.sites[index].address in context.addresses]
    parameters = _parameters(numbers, oldest, mine, [values for values, _ in trials], unfit)
    known = frozenset(values for values, _ in relatives) | {numbers.values}
    return Space(numbers.sites, numbers.values, parameters, trials, known)


def _fixed(numbers: Numbers, free: Sequence[int]) -> tuple[int | float | None, ...]:
    """The numbers that belong to the structure, those of `free` in no place."""
    values: list[int | float | None] = list(numbers.values)
    for index in free:
        values[index] = None
    return tuple(values)


def _is_unfit(one: Individual) -> bool:
    match one.outcome:
        case Rejected(stage=stage):
            return stage in UNFIT
        case Failed(kind="crash" | "error", fault="candidate"):
            return True
    return False


def _parameters(
    numbers: Numbers, oldest: Numbers, mine: Sequence[int], scored: Sequence[Values], unfit: Sequence[Values]
) -> tuple[Parameter, ...]:
    shown = [*scored, numbers.values]
    groups: dict[tuple[object, ...], list[int]] = {}
    for index in mine:
        ranged = range_of(oldest.sites[index])
        together = ranged is not None and ranged.kind == "width"
        key = tuple(values[index] for values in shown) if together else (None, index)
        groups.setdefault(key, []).append(index)
    made = [_parameter(numbers, oldest, tuple(places), shown) for places in groups.values()]
    unsure = [one for one in made if not one.fits]
    return tuple(one for one in made if one.fits or _failures(one, unsure, shown[0], unfit) < TRIES)


def _parameter(
    numbers: Numbers, oldest: Numbers, places: tuple[int, ...], shown: Sequence[Values]
) -> Parameter:
    values = [one[places[0]] for one in shown]
    ranged = range_of(oldest.sites[places[0]])
    assert ranged is not None
    for value in values:
        ranged = ranged.widened(value)
    fits = ranged.kind not in ("width", "count") or len(set(values[:-1])) > 1
    return Parameter(numbers.sites[places[0]].name or "a number", places, ranged, fits)


def _failures(one: Parameter, unsure: Sequence[Parameter], first: Values, unfit: Sequence[Values]) -> int:
    """The children without a fit that `one` alone, of those that are unsure, may have caused."""
    others = [other for other in unsure if other is not one]
    return sum(
        one.of(values) != one.of(first) and all(other.of(values) == other.of(first) for other in others)
        for values in unfit
    )

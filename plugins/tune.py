"""Tune: an optimiser sets the numbers of a genome from the run's scores. No language model is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

from ge_engine.contracts import Context, Operator, Proposal
from ge_engine.errors import ConfigError
from ge_engine.hookspecs import hookimpl
from ge_engine.outcome import Rejected, Skipped
from ge_engine.patch import JointPatch, Patch
from ge_engine.structure.tuned import NumberSite, number_text, with_numbers
from ge_plugins.scanning import counted
from ge_plugins.tpe import STARTUP, Tpe
from ge_plugins.tuning_space import Parameter, Space, space_of

MOST = 6
"""Parameters that a child of `tune` differs in from its parent at most."""
DRAWS = 16
"""Suggestions that are asked for until one is new."""
SHOWN = 12
"""Changes that are told of a child."""


class Tune(Operator):
    """Sets some numbers of the parent by Optuna's TPE, from the scored individuals of its structure; the
    others stay the parent's, which selection has chosen."""

    name = "tune"

    def check(self) -> None:
        if find_spec("optuna") is None:
            raise ConfigError(
                f"The operator {self.name} needs the package optuna.", "pip install 'ge-engine[tune]'"
            )

    def propose(self, context: Context) -> Proposal:
        yield from ()
        space = space_of(context)
        if not space.parameters:
            return Skipped("the parent has no number that this run may tune")
        seen = {one.id: context.run.ties.seen(one.objectives) for _, one in space.trials}
        tpe = Tpe(space, context.run.directions, seen, context.rng.getrandbits(32))
        for _ in range(DRAWS):
            values = tpe.suggest(self.drawn(context, space))
            sites = {space.sites[at]: value for one, value in values.items() for at in one.places}
            if _all_values(space, sites) not in space.known:
                return _patch(context, space, values, sites)
        return Skipped("every setting of the parent's numbers that was drawn is known")

    def drawn(self, context: Context, space: Space) -> Sequence[Parameter]:
        """The parameters that are set: at most `MOST`."""
        able = able_together(context, space)
        return context.rng.sample(able, min(len(able), context.rng.randint(1, MOST)))


class TpeAlone(Tune):
    """Sets all numbers of the structure at once, whatever the parent's are: TPE as it is used without an
    evolution."""

    name = "tpe"

    def drawn(self, context: Context, space: Space) -> Sequence[Parameter]:
        return able_together(context, space)


def able_together(context: Context, space: Space) -> list[Parameter]:
    """The parameters that may be set together: those that fit, and one of the others."""
    able = [one for one in space.parameters if one.fits]
    unsure = [one for one in space.parameters if not one.fits]
    return [*able, context.rng.choice(unsure)] if unsure else able


def _all_values(space: Space, sites: dict[NumberSite, int | float]) -> tuple[int | float, ...]:
    return tuple(sites.get(site, value) for site, value in zip(space.sites, space.values, strict=True))


def _patch(
    context: Context,
    space: Space,
    values: dict[Parameter, int | float],
    sites: dict[NumberSite, int | float],
) -> Patch | JointPatch | Rejected:
    changed = {site: value for site, value in sites.items() if value != site.value}
    made = with_numbers(context.genome, changed)
    if isinstance(made, Rejected):
        return made
    note = _told(space, {one: value for one, value in values.items() if value != one.of(space.values)})
    first, *more = made.patches
    first = replace(first, notes=(*first.notes, note))
    return JointPatch((first, *more)) if more else first


def _told(space: Space, values: dict[Parameter, int | float]) -> str:
    """What was set, from what to what, and from how many trials, on one line."""
    trials = counted(len(space.trials), "trial")
    how = trials if len(space.trials) >= STARTUP else f"{trials}, too few, so at random"
    lines = [
        f"{one.name} {number_text(one.of(space.values))} becomes {number_text(value)}"
        + (f" in {len(one.places)} places" if len(one.places) > 1 else "")
        for one, value in values.items()
    ]
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return f"TPE of {how}: " + ", ".join([*lines[:SHOWN], *more])


@hookimpl
def ge_operators() -> list[Operator]:
    return [Tune(), TpeAlone()]

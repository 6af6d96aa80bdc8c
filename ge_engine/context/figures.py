"""The section "figures": what is optimised, and what the seed model, the parents and the front measure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ge_engine.contracts import Context, Direction, Individual, Prompt
from ge_engine.curves import ends_of
from ge_engine.notation import PLAIN, Notations, written
from ge_engine.outcome import Scored
from ge_engine.population import SEED_ID

FRONT = 8
"""Individuals of the front that are told, spread over its length."""
CROSSED = (
    "The code below is a cross of both parents that has not been measured: what is said of the network, and "
    "bounds for it, are parent 1's."
)
LEARNED = ("loss", "accuracy")
"""What is told of a training's curve, measured on the data that it was trained on."""
BETTER: Mapping[Direction, str] = {"max": "higher is better", "min": "lower is better"}


def figures(context: Context, _: Prompt) -> Sequence[str]:
    """The seed model and the parents; with the front; and with what made each of that, and how the trainings
    of seed model and parents went."""
    run = context.run
    wanted = ", ".join(f"{name} ({BETTER[direction]})" for name, direction in run.directions.items())
    head = [f"Measured: {wanted}."]
    head += [f"Constraints: {', '.join(run.constraints)}."] if run.constraints else []
    models = [("the original", run.seed), *_parents(context)]
    short = [f"- {name}: {_figures(one, run.notations)}" for name, one in models if one.scored]
    known = {run.seed.id, *(one.id for one in context.parents)}
    front = [one for one in run.front if one.scored and one.id not in known]
    place = "on the Pareto front" if len(run.directions) > 1 else "the best"
    best = [(one, _figures(one, run.notations)) for one in _spread(front, run.directions)]
    told = [f"- {place}: {shown}" for _, shown in best]
    made = [f"- {place}{_how(one)}: {shown}" for one, shown in best]
    learned = [f"- {name}, while it was trained: {said}" for name, one in models if (said := _learned(one))]
    tail = [CROSSED] if is_crossed(context) else []
    forms = [short, [*short, *told], [*short, *learned, *made]]
    return tuple(dict.fromkeys("\n".join([*head, *form, *tail]) for form in forms))


def is_crossed(context: Context) -> bool:
    """Whether the genome is a cross of two parents, and no longer the first one's."""
    parents = context.parents
    return len(parents) > 1 and context.genome.digest != parents[0].genome.digest


def comparison(
    before: Mapping[str, float],
    after: Mapping[str, float],
    within: Collection[str],
    directions: Mapping[str, Direction],
    notations: Notations,
) -> str:
    """ "accuracy 90.00 % to 95.00 % (better), parameters 518,230 (equal)"; of objectives in `within`, whose
    difference chance explains, "(within noise)"."""
    return ", ".join(
        _compared(name, before[name], after[name], name in within, direction, notations)
        for name, direction in directions.items()
        if name in before and name in after
    )


def _compared(
    name: str, old: float, new: float, within: bool, direction: Direction, notations: Notations
) -> str:
    notation = notations.get(name, PLAIN)
    if new == old:
        return f"{name} {notation.measured(new)} (equal)"
    gained = "better" if (new > old) == (direction == "max") else "worse"
    verdict = "within noise" if within else gained
    return f"{name} {notation.measured(old)} to {notation.measured(new)} ({verdict})"


def _parents(context: Context) -> Iterable[tuple[str, Individual]]:
    several = len(context.parents) > 1
    for number, one in enumerate(context.parents, 1):
        if one.id != context.run.seed.id:
            yield f"parent {number}" if several else "parent", one


def _learned(one: Individual) -> str:
    """What its curve says of the first and the last epoch: "4 epochs, loss 2.06 to 0.133"; "" without one."""
    epochs, ends = ends_of(one.outcome.details) if isinstance(one.outcome, Scored) else (0, ())
    said = [
        f"{name} {ends[0][name]:.3g} to {ends[1][name]:.3g}"
        for name in LEARNED
        if ends and all(name in end for end in ends)
    ]
    return ", ".join([f"{epochs} epochs", *said]) if said else ""


def _how(one: Individual) -> str:
    """The last change that made it: ", g1s2 by reduce of Head, from g0s1"; "" where that is not known."""
    if not one.steps:
        return ""
    parents = " and ".join("the original" if parent == SEED_ID else parent for parent in one.parents)
    steps = ", then ".join(f"{step.intent} of {', '.join(step.addresses)}" for step in one.steps)
    return f", {one.id} by {steps}, from {parents}"


def _figures(one: Individual, notations: Notations) -> str:
    return written(one.objectives, notations, one.errors)


def _spread(front: Sequence[Individual], directions: Mapping[str, Direction]) -> Sequence[Individual]:
    """At most `FRONT`, evenly along the first objective, its ends included."""
    first = next(iter(directions))
    ordered = sorted(front, key=lambda one: (one.objectives[first], one.id))
    if len(ordered) <= FRONT:
        return ordered
    return [ordered[round(at * (len(ordered) - 1) / (FRONT - 1))] for at in range(FRONT)]

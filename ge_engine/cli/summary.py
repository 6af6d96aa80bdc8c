"""What `ge evolve` prints when a run has ended: the front, the checks, the best child's diff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rich.text import Text

from ge_engine.changes import diff_genomes
from ge_engine.cli.changes import print_changes
from ge_engine.cli.rescored import print_rescored
from ge_engine.ledger import History
from ge_engine.notation import Notations
from ge_engine.outcome import Failed, Scored, fate_of
from ge_engine.pareto import Direction, dominates, pareto_front
from ge_engine.population import SEED_ID, Child, Individual, with_genome
from ge_engine.views.console import out, print_table, program, table_of


def print_summary(folder: Path) -> None:
    """Read the run's ledger and print its end: validation and test figures, replies, a diff, what next."""
    with History(folder) as history:
        directions = history.directions
        children = list(history.individuals())
        individuals = with_genome(children)
        seed = individuals[0]
        front = pareto_front(individuals, directions)
        test = {
            key: value.objectives
            for key, value in history.test_outcomes().items()
            if isinstance(value, Scored)
        }
        _print_front(seed, front, test, history.notations)
        print_rescored(history)
        _print_checks(history, children)
        out.print(Text(history.stopped_because))
    best = choose_best(seed, front, directions)
    if best is None:
        out.print("No child is on the front: the seed stands.")
        return
    out.print(
        Text.assemble("\n", (f"what changed in {best.id}", "bold"), f" ({_verdict(best, seed, directions)})")
    )
    print_changes(diff_genomes(seed.genome, best.genome))
    out.print(Text(f"\n{program()} diff {folder}:{best.id}", style="cyan"))
    out.print(Text(f"{program()} show {folder}:{best.id}", style="cyan"))
    out.print(Text(f"{program()} export {folder}:{best.id} -o better.py", style="cyan"))


def choose_best(
    seed: Individual, front: list[Individual], directions: Mapping[str, Direction]
) -> Individual | None:
    """The child on the front to show first: one that dominates the seed, else the best at the first
    objective."""
    children = [one for one in front if one.id != SEED_ID]
    better = [one for one in children if dominates(one.objectives, seed.objectives, directions)]
    first, direction = next(iter(directions.items()))
    sign = 1 if direction == "max" else -1
    return max(better or children, key=lambda one: sign * one.objectives[first], default=None)


def _verdict(one: Individual, seed: Individual, directions: Mapping[str, Direction]) -> str:
    return "dominates the seed" if dominates(one.objectives, seed.objectives, directions) else "a trade-off"


def _print_front(
    seed: Individual,
    front: list[Individual],
    test: Mapping[str, Mapping[str, float]],
    notations: Notations,
) -> None:
    rest = [one for one in front if one.id != SEED_ID]
    measured = [name for name in notations if _differs(name, front, test)]
    figures = [column for name in notations for column in (name, "")]
    tested = [f"{name}, test" for name in measured]
    table = table_of("Pareto front", right=(*figures, *tested), after="how")
    for one in [seed, *rest]:
        dominated = one.id == SEED_ID and one not in front
        cells: list[str] = []
        for name, notation in notations.items():
            old, new = seed.objectives[name], one.objectives[name]
            cells += [notation.value(new), "" if one is seed else notation.change(old, new)]
        cells += [notations[name].value(test[one.id][name]) if one.id in test else "-" for name in measured]
        how = "dominated" if dominated else ", ".join(f"{s.operator} of {s.address}" for s in one.steps)
        table.add_row(Text(one.id, style="" if dominated else "bold green"), *cells, how)
    out.print()
    print_table(table)
    out.print()


def _differs(name: str, front: list[Individual], test: Mapping[str, Mapping[str, float]]) -> bool:
    return any(test[one.id].get(name) != one.objectives[name] for one in front if one.id in test)


def _print_checks(history: History, everybody: list[Child]) -> None:
    children = [one for one in everybody if one.id != SEED_ID]
    fates = Counter(fate_of(one.outcome) for one in children)
    stopped = sum(isinstance(one.outcome, Failed) and one.outcome.kind == "stopped" for one in children)
    failed = fates["failed"] - stopped
    parts = [f"{len(children)} children: {fates['scored']} scored"]
    parts += [f"{stopped} stopped early"] if stopped else []
    parts += [f"{failed} failed in training"] if failed else []
    parts += [f"{fates['waiting']} not scored yet"] if fates["waiting"] else []
    parts += [f"{count} rejected at {stage}" for stage, count in history.rejections().items()]
    out.print(Text(", ".join(parts)))
    _print_same(everybody[0], children)


def _print_same(seed: Child, children: list[Child]) -> None:
    """Say how many were trained to the seed's figures: their blocks are not what the score depends on."""
    scored = [one.outcome.objectives for one in children if isinstance(one.outcome, Scored)]
    same = isinstance(seed.outcome, Scored) and scored.count(seed.outcome.objectives)
    if same:
        out.print(Text(f"{same} of {len(scored)} scored children have the seed's figures in all digits"))

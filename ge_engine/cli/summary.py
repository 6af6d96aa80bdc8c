"""What `ge evolve` prints when a run has ended: the front, the checks, the best child's diff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from rich.text import Text

from ge_engine.api import Run
from ge_engine.cli.changes import print_changes
from ge_engine.cli.rescored import print_rescored
from ge_engine.notation import Notations
from ge_engine.outcome import Failed, Scored, fate_of
from ge_engine.population import SEED_ID, Individual
from ge_engine.views.console import out, print_table, program, table_of


def print_summary(run: Run) -> None:
    """A run's end: validation and test figures, what became of the children, a diff, what next."""
    seed, best = run.seed, run.best
    test = {identity: one.objectives for identity, one in run.tests.items() if isinstance(one, Scored)}
    _print_front(seed, run.front, test, run.notations)
    print_rescored(run)
    _print_checks(run)
    out.print(Text(run.stopped_because))
    if best is None:
        out.print("No child is on the front: the seed stands.")
        return
    verdict = "dominates the seed" if run.dominates_seed(best) else "a trade-off"
    out.print(Text.assemble("\n", (f"what changed in {best.id}", "bold"), f" ({verdict})"))
    print_changes(run.diff(best.id))
    for command in ("diff {}", "show {}", "export {} -o better.py"):
        called = command.format(f"{run.folder}:{best.id}")
        out.print(Text(f"{program()} {called}", style="cyan"))


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


def _print_checks(run: Run) -> None:
    children = [one for one in run.individuals if one.id != SEED_ID]
    fates = Counter(fate_of(one.outcome) for one in children)
    stopped = sum(isinstance(one.outcome, Failed) and one.outcome.kind == "stopped" for one in children)
    failed = fates["failed"] - stopped
    parts = [f"{len(children)} children: {fates['scored']} scored"]
    parts += [f"{stopped} stopped early"] if stopped else []
    parts += [f"{failed} failed in training"] if failed else []
    parts += [f"{fates['waiting']} not scored yet"] if fates["waiting"] else []
    parts += [f"{count} rejected at {stage}" for stage, count in run.rejections.items()]
    out.print(Text(", ".join(parts)))

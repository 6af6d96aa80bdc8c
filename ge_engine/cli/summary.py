"""What `ge evolve` prints when a run has ended: the verdict, the front, the checks, the best child's diff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.text import Text

from ge_engine.changes import diff_genomes
from ge_engine.cli.changes import print_changes
from ge_engine.cli.rescored import print_rescored
from ge_engine.ledger import History
from ge_engine.ledger.verdict import Verdict, verdict_of
from ge_engine.noise import beyond_noise, front_of
from ge_engine.notation import Notation, Notations, front_title
from ge_engine.outcome import Failed, Scored, fate_of
from ge_engine.pareto import Direction, advantage
from ge_engine.population import SEED_ID, Child, Individual, with_genome
from ge_engine.views.console import out, print_table, program, table_of

WITHIN = "≈"
"""Stands beside a difference to the baseline that chance explains."""


def print_summary(folder: Path) -> None:
    """Read the run's ledger and print its end: verdict, validation and test figures, replies, a diff, what
    next."""
    with History(folder) as history:
        directions, notations = history.directions, history.notations
        children = list(history.individuals())
        individuals = with_genome(children)
        seed = individuals[0]
        front = front_of(individuals, directions, history.ties)
        verdict = verdict_of(history, [one.id for one in front])
        test = {key: value for key, value in history.test_outcomes().items() if isinstance(value, Scored)}
        out.print()
        out.print(Text(verdict.sentence, style="bold"))
        _print_front(seed, front, test, directions, notations)
        print_rescored(history)
        _print_checks(history, children)
        out.print(Text(history.stopped_because))
    best = choose_best(verdict, front, directions)
    if best is not None:
        _print_best(folder, best, seed, verdict, notations)


def choose_best(
    verdict: Verdict, front: Sequence[Individual], directions: Mapping[str, Direction]
) -> Individual | None:
    """The child on the front to show first: the best of those that are better than the baseline, else that
    with the best first objective."""
    children = [one for one in front if one.id != SEED_ID]
    if verdict.better:
        return next(one for one in children if one.id == verdict.better[0].id)
    first, direction = next(iter(directions.items()))
    return max(children, key=lambda one: advantage(one.objectives[first], 0.0, direction), default=None)


def _print_best(
    folder: Path, best: Individual, seed: Individual, verdict: Verdict, notations: Notations
) -> None:
    """What changed in the best child. How to export it as better.py only where it is better."""
    judged, better = verdict.front[best.id], best.id in {one.id for one in verdict.better}
    kind = "" if better else "not better than the baseline: "
    told = f" ({kind}{judged.in_words(notations)})"
    out.print(Text.assemble("\n", (f"what changed in {best.id}", "bold"), told))
    print_changes(diff_genomes(seed.genome, best.genome))
    out.print(Text(f"\n{program()} diff {folder}:{best.id}", style="cyan"))
    out.print(Text(f"{program()} show {folder}:{best.id}", style="cyan"))
    if better:
        out.print(Text(f"{program()} export {folder}:{best.id} -o better.py", style="cyan"))


def _print_front(
    seed: Individual,
    front: Sequence[Individual],
    test: Mapping[str, Scored],
    directions: Mapping[str, Direction],
    notations: Notations,
) -> None:
    rest = [one for one in front if one.id != SEED_ID]
    measured = [name for name in notations if _differs(name, front, test)]
    figures = [column for name, how in notations.items() for column in (how.title(name), "")]
    tested = [f"{notations[name].title(name)}, test" for name in measured]
    table = table_of(front_title(notations), right=(*figures, *tested), after="how")
    for one in [seed, *rest]:
        cells = [cell for name, how in notations.items() for cell in _cells(name, how, one, seed, directions)]
        cells += [
            _figure(name, notations[name], test[one.id]) if one.id in test else "-" for name in measured
        ]
        how_made = "baseline" if one is seed else ", ".join(f"{s.operator} of {s.address}" for s in one.steps)
        table.add_row(Text(one.id, style="bold green" if one in front else ""), *cells, how_made)
    out.print()
    print_table(table)
    out.print(Text(f"± standard error; {WITHIN} within noise of the baseline", style="dim"))
    out.print()


def _cells(
    name: str, how: Notation, one: Individual, seed: Individual, directions: Mapping[str, Direction]
) -> Iterator[str]:
    """A figure with its error, and how it compares with the baseline's."""
    yield _figure(name, how, one)
    if one is seed:
        yield ""
        return
    within = beyond_noise(one, seed, {name: directions[name]})[name] == 0
    change = how.change(seed.objectives[name], one.objectives[name])
    yield f"{change} {WITHIN}" if within else change


def _figure(name: str, how: Notation, scored: Individual | Scored) -> str:
    return how.spread(scored.objectives[name], scored.errors.get(name))


def _differs(name: str, front: Sequence[Individual], test: Mapping[str, Scored]) -> bool:
    return any(test[one.id].objectives.get(name) != one.objectives[name] for one in front if one.id in test)


def _print_checks(history: History, everybody: Sequence[Child]) -> None:
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

"""What `ge evolve` prints when a run has ended: the verdict, the front, the checks, the best child's diff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.text import Text

from ge_engine.api import Run
from ge_engine.cli.changes import print_changes
from ge_engine.cli.figures import LEGEND, figure, row
from ge_engine.cli.learning import print_still_rising
from ge_engine.cli.rescored import print_rescored
from ge_engine.config import RunConfig
from ge_engine.notation import front_title
from ge_engine.outcome import Failed, Outcome, Scored, counted_rejections, fate_of
from ge_engine.population import SEED_ID, Individual
from ge_engine.views.console import command_line, out, print_table, table_of

UNTESTED = (
    "No figure of the test split differs from validation's: nothing was tested where what scores the run "
    "leaves the split out of account."
)


def print_summary(run: Run) -> None:
    """A run's end: verdict, validation and test figures, what became of the children, a diff, what next."""
    found = run.summary
    verdict, best = found.verdict, found.best
    test = {identity: one for identity, one in run.tests.items() if isinstance(one, Scored)}
    out.print()
    out.print(Text(verdict.sentence, style="bold"))
    _print_front(run, found.front, test)
    print_rescored(run)
    _print_checks(run)
    print_still_rising(run)
    out.print(Text(run.stopped_because))
    if best is not None:
        better = best.id in {one.id for one in verdict.better}
        judged = verdict.front[best.id]
        figures = f"{judged.in_words(run.notations)}, by {judged.basis}"
        but = "; not so in validation" if best.id in verdict.refuted else ""
        _print_best(run, best, figures if better else f"not better than the baseline: {figures}{but}", better)


def _print_best(run: Run, best: Individual, judged: str, better: bool) -> None:
    """What changed in the best child, and what to do next. How to export it, and how to train it in full,
    only where it is better."""
    out.print(Text.assemble("\n", (f"what changed in {best.id}", "bold"), f" ({judged})"))
    print_changes(run.diff(best.id))
    out.print()
    named = f"{run.folder}:{best.id}"
    steps: list[tuple[str, ...]] = [("diff", named), ("show", named), ("report", str(run.folder))]
    if better:
        steps.append(("export", named, "-o", "better" if len(best.genome.files) > 1 else "better.py"))
        if run.config.evaluator == RunConfig().evaluator:
            steps.append(("train", named, "-o", "trained"))
    for words in steps:
        out.print(Text(command_line(*words), style="cyan"))


def _print_front(
    run: Run,
    front: Sequence[Individual],
    test: Mapping[str, Scored],
) -> None:
    seed, notations, directions, tolerances = run.seed, run.notations, run.directions, run.tolerances
    rest = [one for one in front if one.id != SEED_ID]
    measured = [name for name in notations if _differs(name, front, test)]
    figures = [column for name, how in notations.items() for column in (how.title(name), "")]
    tested = [f"{notations[name].title(name)}, test" for name in measured]
    table = table_of(front_title(notations), right=(*figures, *tested), after="how")
    for one in [seed, *rest]:
        cells = list(row(one, seed, notations, directions, tolerances))
        cells += [figure(name, notations[name], test[one.id]) if one.id in test else "-" for name in measured]
        how_made = "baseline" if one is seed else ", ".join(f"{s.operator} of {s.address}" for s in one.steps)
        table.add_row(Text(one.id, style="bold green" if one in front else ""), *cells, how_made)
    out.print()
    print_table(table)
    out.print(Text(LEGEND, style="dim"))
    if test and not measured:
        out.print(Text(UNTESTED, style="yellow"))
    out.print()


def _differs(name: str, front: Sequence[Individual], test: Mapping[str, Scored]) -> bool:
    return any(test[one.id].objectives.get(name) != one.objectives[name] for one in front if one.id in test)


def _print_checks(run: Run) -> None:
    seed, *outcomes = [one.outcome for one in run.listed()]
    fates = Counter(map(fate_of, outcomes))
    stopped = sum(isinstance(one, Failed) and one.kind == "stopped" for one in outcomes)
    failed = fates["failed"] - stopped
    parts = [f"{len(outcomes)} children: {fates['scored']} scored"]
    parts += [f"{stopped} stopped early"] if stopped else []
    parts += [f"{failed} failed in training"] if failed else []
    parts += [f"{fates['waiting']} not scored yet"] if fates["waiting"] else []
    parts += [counted_rejections(count, stage) for stage, count in run.rejections.items()]
    out.print(Text(", ".join(parts)))
    _print_same(seed, outcomes)


def _print_same(seed: Outcome | None, outcomes: Sequence[Outcome | None]) -> None:
    """Say how many were trained to the baseline's figures: their blocks are not what the score depends on."""
    scored = [one.objectives for one in outcomes if isinstance(one, Scored)]
    same = isinstance(seed, Scored) and scored.count(seed.objectives)
    if same:
        out.print(Text(f"{same} of {len(scored)} scored children have exactly the baseline's figures"))

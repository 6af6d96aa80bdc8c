"""`ge log`: what happened in a run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ge_engine.api import Run
from ge_engine.cli.rescored import print_rescored
from ge_engine.ledger import History
from ge_engine.ledger.parts import changed, first_of, part_of, parts_of
from ge_engine.ledger.replicates import as_data, spreads
from ge_engine.ledger.statistics import repairs, statistics
from ge_engine.outcome import Failed, Rejected, Scored
from ge_engine.pareto import pareto_front
from ge_engine.population import SEED_ID, Child, Individual, with_genome
from ge_engine.views.console import out, print_table, table_of
from ge_engine.views.outcomes import describe

POLL_SECONDS = 1.0


def log(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    front: Annotated[bool, typer.Option("--front", help="Only the Pareto front.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    stats: Annotated[bool, typer.Option("--stats", help="What worked: operators, intents, ...")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Verify the whole ledger; exit code 1 if not.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on printing while the run goes on.")] = False,
) -> None:
    """List every individual of a run with what became of it.

    Examples:

      ge log runs/demo --front

      ge log runs/demo --stats
    """
    if check:
        _check(run)
        return
    if follow:
        with History(run) as history:
            notations = history.notations
        for one in _arriving(run):
            out.print(Text.assemble(f"{one.id:8} ", _how(one), "  ", describe(one, notations)))
        return
    with History(run) as history:
        if stats:
            _print_stats(history)
            return
        children = list(history.individuals())
        best = pareto_front(with_genome(children), history.directions)
        shown: Sequence[Child] = best if front else children
        if as_json:
            again = spreads(history)
            for one in shown:
                record = as_record(one, best)
                part = part_of(history, one.id)
                record |= {"made_with": dict(part.making.versions)} if part else {}
                record |= {"rescored": as_data(again[one.id])} if one.id in again else {}
                typer.echo(json.dumps(record, allow_nan=False))
            return
        _print_table(shown, best, history)
        _print_moves(history)
        _print_parts(history)
        out.print()
        print_rescored(history)
        _print_summary(history)


def as_record(one: Child, front: list[Individual]) -> dict[str, Any]:
    """An individual as plain data for --json."""
    outcome = one.outcome
    record: dict[str, Any] = {
        "id": one.id,
        "generation": one.generation,
        "island": one.island,
        "parents": list(one.parents),
        "steps": [
            {"operator": s.operator, "intent": s.intent, "persona": s.persona, "address": s.address}
            for s in one.steps
        ],
        "digest": one.genome.digest if one.genome else None,
        "outcome": type(outcome).__name__.lower() if outcome else None,
        "front": any(one.id == other.id for other in front),
    }
    match outcome:
        case Scored(objectives=objectives):
            record["objectives"] = dict(objectives)
        case Rejected(stage=stage, reason=reason) | Failed(stage=stage, reason=reason):
            record |= {"stage": stage, "reason": reason}
    return record


def _check(run: Path) -> None:
    faults = Run(run).check()
    for fault in faults:
        out.print(Text(fault, style="red"))
    out.print(Text(f"{len(faults)} faults" if faults else "the ledger is sound"))
    if faults:
        raise typer.Exit(1)


def _arriving(run: Path) -> Iterator[Child]:
    """Individuals as their outcomes come, until the run ends. Ctrl-C ends it, too."""
    told: set[str] = set()
    while True:
        with History(run) as history:
            ended = bool(history.stopped_because)
            fresh = [one for one in history.individuals() if one.outcome is not None and one.id not in told]
        yield from fresh
        told.update(one.id for one in fresh)
        if ended:
            return
        time.sleep(POLL_SECONDS)


def _how(one: Child) -> str:
    return "+".join(f"{s.operator}:{s.intent} {s.address}".rstrip() for s in one.steps)


def _print_stats(history: History) -> None:
    counted = ("children", "admitted", "scored", "better", "success", "hypervolume gain")
    table = table_of("", "", right=counted)
    last = ""
    for (dimension, value), stats in statistics(history).items():
        counts = [str(n) for n in (stats.children, stats.admitted, stats.scored, stats.better)]
        counts.append(f"{stats.better / stats.children:.0%}")
        head = dimension if dimension != last else ""
        table.add_row(Text(head, style="bold"), Text(value), *counts, f"{stats.gain:.4f}")
        last = dimension
    print_table(table)
    for stage, (sent, saved) in repairs(history).items():
        out.print(f"repairs: {saved} of {sent} replies rejected at {stage} were saved")


def _print_table(shown: Sequence[Child], front: list[Individual], history: History) -> None:
    """The island that each was bred on is a column of its own where there are several."""
    best, notations, islands = {one.id for one in front}, history.notations, history.config.islands > 1
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("", "id", *(["island"] if islands else []), "parents", "operator", "block", "outcome"):
        table.add_column(column, no_wrap=column != "outcome")
    for one in shown:
        operators = "+".join(f"{s.operator}:{s.intent}" for s in one.steps)
        blocks = ", ".join(dict.fromkeys(s.address for s in one.steps))
        mark = Text("*" if one.id in best else "", style="bold green")
        island = [] if not islands else ["" if one.id == SEED_ID else str(one.island)]
        table.add_row(
            mark, one.id, *island, ", ".join(one.parents), operators, blocks, describe(one, notations)
        )
    print_table(table)


def _print_moves(history: History) -> None:
    for generation, moves in groupby(history.moves(), key=lambda pair: pair[0]):
        told = ", ".join(f"{move.id} from island {move.source} to {move.target}" for _, move in moves)
        out.print(f"migrated after generation {generation}: {told}")


def _print_parts(history: History) -> None:
    """With what a run was made that was not made with one and the same."""
    parts = parts_of(history)
    if len(parts) < 2:
        return
    out.print(Text(f"begun with {parts[0].making}"))
    for before, after in pairwise(parts):
        first = first_of(history, after) or "here, before the next child,"
        out.print(Text(f"from {first} on with {changed(before, after)}"))


def _print_summary(history: History) -> None:
    rejected = history.rejections()
    prompt, completion = history.tokens()
    if rejected:
        out.print("rejected: " + ", ".join(f"{count} at {stage}" for stage, count in rejected.items()))
    out.print(f"tokens: {prompt:,} read, {completion:,} written")
    out.print(history.stopped_because or "not finished; the same `ge evolve` command goes on with it")

"""`ge show`: one individual with its lineage, prompts and replies."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from ge_engine.ledger import History
from ge_engine.ledger.parts import changed, part_of, parts_of, scored_in
from ge_engine.ledger.records import Call
from ge_engine.ledger.replicates import plain, spreads
from ge_engine.population import SEED_ID, Child, Step
from ge_engine.runs.references import find_individual, split_reference
from ge_engine.views.console import out
from ge_engine.views.outcomes import describe, describe_outcome


def show(
    individual: Annotated[str, typer.Argument(metavar="RUN:ID", help="The individual to show.")],
    code: Annotated[bool, typer.Option("--code", help="Also print the whole file.")] = False,
) -> None:
    """Show where an individual came from: lineage, prompts, replies, outcome.

    Example: ge show runs/demo:g1s3
    """
    folder, identity = split_reference(individual)
    with History(folder) as history:
        one, notations = find_individual(history, identity), history.notations
        out.print(Text.assemble((one.id, "bold"), "  ", describe(one, notations)))
        if history.config.islands > 1:
            _print_islands(history, one)
        test = history.test_outcomes().get(one.id)
        if test is not None:
            out.print(Text.assemble("test split  ", describe_outcome(test, notations)))
        again = spreads(history).get(one.id)
        if again is not None:
            out.print(Text(f"further seeds  {plain(again, notations)}"))
        _print_making(history, one)
        _print_lineage(history, one)
        for call in history.calls(one.id):
            _print_call(call)
    if code and one.genome is not None:
        _print_heading("code")
        out.print(Text(one.genome.source.decode("utf-8", "replace")))


def _print_islands(history: History, one: Child) -> None:
    """Where it was bred, and where copies of it went."""
    moves = (move for _, move in history.moves() if move.id == one.id)
    went = "".join(f", migrated from {move.source} to {move.target}" for move in moves)
    out.print(Text(("all islands" if one.id == SEED_ID else f"island {one.island}") + went))


def _print_making(history: History, one: Child) -> None:
    """The versions it was bred and scored with, where the run's versions changed."""
    if len(parts_of(history)) < 2:
        return
    bred, scored = part_of(history, one.id), scored_in(history, one.id)
    if bred is not None:
        out.print(Text(f"made with {bred.making}"))
    if bred is not None and scored is not None and scored != bred:
        out.print(Text(f"scored with {changed(bred, scored)}"))


def _print_lineage(history: History, one: Child) -> None:
    """The individual and its ancestors, first parents first, each once."""
    _print_heading("lineage")
    waiting, met = [(one.id, 0)], set()
    while waiting:
        identity, depth = waiting.pop(0)
        if identity in met:
            continue
        met.add(identity)
        ancestor = find_individual(history, identity)
        steps = "; ".join(_step(s) for s in ancestor.steps)
        out.print(Text("  " * depth + identity + (f"  {steps}" if steps else "")))
        waiting[:0] = [(parent, depth + 1) for parent in ancestor.parents]


def _step(step: Step) -> str:
    who = "" if step.persona in ("", "none") else f", as {step.persona}"
    note = f" [{step.note}]" if step.note else ""
    blocks = f" of {step.address}" if step.address else ""
    return f"{step.operator}{blocks} ({step.intent}{who}){note}"


def _print_call(call: Call) -> None:
    _print_heading(f"prompt {call.key} to {call.reply.model}, temperature {call.sampling.temperature:.2f}")
    out.print(Text(call.prompt.system, style="dim"))
    out.print(Text(call.prompt.user))
    tokens = f"{call.reply.completion_tokens} tokens in {call.reply.seconds:.1f} s, {call.reply.finish}"
    _print_heading(f"reply {call.key}: {tokens}")
    out.print(Text(call.reply.text or call.reply.error or "(empty)"))


def _print_heading(text: str) -> None:
    out.print()
    out.print(Text(f"── {text}", style="bold"))

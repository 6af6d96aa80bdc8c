"""`ge show`: one individual with its lineage, prompts and replies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.text import Text

from ge_engine.api import Call, Run
from ge_engine.cli import options as o
from ge_engine.notation import written
from ge_engine.outcome import INHERITED, Scored
from ge_engine.population import SEED_ID, Child, Step
from ge_engine.runs.references import split_reference
from ge_engine.views.console import out
from ge_engine.views.outcomes import describe, describe_outcome


def show(
    individual: Annotated[str, o.individual("The individual to show.")],
    code: Annotated[bool, typer.Option("--code", help="Also print the whole file.")] = False,
    prompt: Annotated[bool, typer.Option("--prompt", help="Print what was sent, and nothing else.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as one JSON object.")] = False,
) -> None:
    """Show where an individual came from: lineage, prompts, replies, outcome.

    Examples:

      ge show runs/demo:g1s3

      ge show runs/demo:g1s3 --prompt

      ge show runs/demo:g1s3 --json
    """
    folder, identity = split_reference(individual)
    run = Run(folder)
    if as_json:
        typer.echo(json.dumps(run.record(identity), allow_nan=False))
        return
    one, notations = run.individual(identity), run.notations
    if prompt:
        _print_prompts(run, one)
        return
    out.print(Text.assemble((one.id, "bold"), "  ", describe(one, notations)))
    if figures := _figures(one):
        out.print(Text(f"also measured  {written(figures, run.figure_notations)}"))
    if proxies := run.proxies(one.id) if run.config.screen > 1 else {}:
        out.print(Text("before training  " + ", ".join(f"{n} {v:.6g}" for n, v in proxies.items())))
    if run.config.islands > 1:
        _print_islands(run, one)
    if one.id in (tests := run.tests):
        scratch = ", trained from scratch" if INHERITED in _figures(one) else ""
        out.print(Text.assemble(f"test split{scratch}  ", describe_outcome(tests[one.id], notations)))
    if one.id in (rescored := run.rescored):
        out.print(Text(f"further random seeds  {rescored[one.id].told(notations)}"))
    for sentence in run.making(one.id):
        out.print(Text(sentence))
    if isinstance(one.outcome, Scored) and one.outcome.feedback:
        _print_heading("feedback")
        out.print(Text(one.outcome.feedback))
    _print_heading("lineage")
    for depth, ancestor in run.lineage(one.id):
        steps = "; ".join(_step(s) for s in ancestor.steps)
        out.print(Text("  " * depth + ancestor.id + (f"  {steps}" if steps else "")))
    for call in run.calls(one.id):
        _print_call(call)
    if code and one.genome is not None:
        for name, file in one.genome.files.items():
            _print_heading(f"code {name}".rstrip())
            out.print(Text(file.source.decode("utf-8", "replace")))


def _figures(one: Child) -> Mapping[str, float]:
    """What was measured besides the objectives."""
    return one.outcome.figures if isinstance(one.outcome, Scored) else {}


def _print_islands(run: Run, one: Child) -> None:
    """Where it was generated, and where copies of it went."""
    moves = (move for _, move in run.moves if move.id == one.id)
    went = "".join(f", migrated from {move.source} to {move.target}" for move in moves)
    out.print(Text(("all islands" if one.id == SEED_ID else f"island {one.island}") + went))


def _step(step: Step) -> str:
    who = "" if step.persona in ("", "none") else f", as {step.persona}"
    note = f" [{step.note}]" if step.note else ""
    blocks = f" of {step.address}" if step.address else ""
    return f"{step.operator}{blocks} ({step.intent}{who}){note}"


def _print_prompts(run: Run, one: Child) -> None:
    """System, user and form of each call; a word that there was none."""
    calls = run.calls(one.id)
    for call in calls:
        _print_prompt(call)
    if not calls:
        out.print(Text(f"No language model was asked for {one.id}."))


def _print_prompt(call: Call) -> None:
    form = f", form {call.grammar}" if call.grammar else ""
    sampled = f"temperature {call.sampling.temperature:.2f}"
    _print_heading(f"prompt {call.key} to {call.reply.model}{form}, {sampled}")
    out.print(Text(call.prompt.system, style="dim"))
    out.print()
    out.print(Text(call.prompt.user))


def _print_call(call: Call) -> None:
    _print_prompt(call)
    tokens = f"{call.reply.completion_tokens} tokens in {call.reply.seconds:.1f} s, {call.reply.finish}"
    _print_heading(f"reply {call.key}: {tokens}")
    out.print(Text(call.reply.text or call.reply.error or "(empty)"))


def _print_heading(text: str) -> None:
    out.print()
    out.print(Text(f"── {text}", style="bold"))

"""Individuals of a run as plain data, for JSON and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ge_engine.ledger.history import History
from ge_engine.ledger.parts import part_of
from ge_engine.ledger.proxies import proxies
from ge_engine.ledger.records import Call
from ge_engine.ledger.replicates import as_data, longer_trainings, spreads
from ge_engine.outcome import Failed, Outcome, Rejected, Scored
from ge_engine.population import Child, Individual
from ge_engine.runs.lineage import ancestors


def records(
    history: History, children: Sequence[Child], front: Sequence[Individual]
) -> Iterator[dict[str, Any]]:
    """A record of each child, with what it cost and was made with, its figures on the test split, before
    training where `screen` chose by them, and what further random seeds gave."""
    again, tests, best = spreads(history), history.test_outcomes(), frozenset(one.id for one in front)
    longer = {epochs: spreads(history, epochs) for epochs in longer_trainings(history)}
    known = proxies(history) if history.config.screen > 1 else {}
    for one in children:
        part = part_of(history, one.id)
        made = {"made_with": dict(part.making.versions)} if part else {}
        rescored: dict[str, Any] = {"rescored": as_data(again[one.id])} if one.id in again else {}
        found = {str(epochs): as_data(those[one.id]) for epochs, those in longer.items() if one.id in those}
        rescored |= {"rescored_longer": found} if found else {}
        proxy = {"proxies": known[one.id]} if one.id in known else {}
        tested = {"test": figures_of(tests[one.id])} if one.id in tests else {}
        yield {**as_record(one, best), **_asked(history.calls(one.id)), **tested, **proxy, **made, **rescored}


def as_record(one: Child, front: frozenset[str]) -> dict[str, Any]:
    """An individual as plain data; `front` are the ids of the front."""
    outcome = one.outcome
    record: dict[str, Any] = {
        "id": one.id,
        "generation": one.generation,
        "island": one.island,
        "parents": list(one.parents),
        "steps": _steps(one),
        "digest": one.genome.digest if one.genome else None,
        "outcome": type(outcome).__name__.lower() if outcome else None,
        "front": one.id in front,
    }
    match outcome:
        case Scored():
            record |= figures_of(outcome)
        case Rejected(stage=stage, reason=reason) | Failed(stage=stage, reason=reason):
            record |= {"stage": stage, "reason": reason}
    return record


def figures_of(outcome: Outcome) -> dict[str, Any]:
    """Objectives; errors, further figures and feedback where there are any; the reason of one that failed."""
    match outcome:
        case Scored(objectives=objectives, errors=errors, figures=figures, feedback=feedback):
            more = {"errors": dict(errors), "figures": dict(figures), "feedback": feedback}
            return {"objectives": dict(objectives), **{name: one for name, one in more.items() if one}}
        case Rejected(reason=reason) | Failed(reason=reason):
            return {"reason": reason}


def whole_record(history: History, one: Child, front: Sequence[Individual]) -> dict[str, Any]:
    """An individual's record with its lineage, its moves among islands, its code, and its prompts and
    replies as they were."""
    (record,) = records(history, [one], front)
    return {
        **record,
        "lineage": [
            {"id": other.id, "depth": depth, "steps": _steps(other)}
            for depth, other in ancestors(history, one.id)
        ],
        "migrated": [
            {"from": move.source, "to": move.target} for _, move in history.moves() if move.id == one.id
        ],
        "calls": [_call(call) for call in history.calls(one.id)],
        "code": _codes(one),
    }


def _codes(one: Child) -> str | dict[str, str] | None:
    """The individual's file as a text; of several, the texts by name."""
    if one.genome is None:
        return None
    texts = {name: file.source.decode("utf-8", "replace") for name, file in one.genome.files.items()}
    return texts if len(texts) > 1 else texts[""]


def _call(call: Call) -> dict[str, Any]:
    prompt, reply = call.prompt, call.reply
    return {
        "key": call.key,
        "intent": prompt.intent,
        "address": prompt.address,
        "form": call.grammar,
        "model": reply.model,
        "temperature": call.sampling.temperature,
        "system": prompt.system,
        "prompt": prompt.user,
        "reply": reply.text,
        "finish": reply.finish,
        "error": reply.error,
        "tokens": {"input": reply.prompt_tokens, "output": reply.completion_tokens},
        "seconds": reply.seconds,
        "at": call.at,
    }


def _steps(one: Child) -> list[dict[str, str]]:
    return [
        {"operator": s.operator, "intent": s.intent, "persona": s.persona, "address": s.address}
        for s in one.steps
    ]


def flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a row of a table: nested names with dots, lists of plain values as text, without steps."""
    row: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            row |= {f"{name}.{inner}": one for inner, one in flat(value).items()}
        elif name != "steps":
            row[name] = " ".join(map(str, value)) if isinstance(value, list) else value
    return row


def _asked(calls: Sequence[Call]) -> dict[str, Any]:
    """Which language models were asked, what that took, and when."""
    if not calls:
        return {}
    replies = [call.reply for call in calls]
    return {
        "models": list(dict.fromkeys(reply.model for reply in replies)),
        "tokens": {
            "input": sum(reply.prompt_tokens for reply in replies),
            "output": sum(reply.completion_tokens for reply in replies),
        },
        "llm_seconds": sum(reply.seconds for reply in replies),
        "asked_at": min(call.at for call in calls),
    }

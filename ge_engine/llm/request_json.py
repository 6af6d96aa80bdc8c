"""Requests and replies as they go to another machine and back: JSON, never code.

A constraint that is one Lark text goes as that. Of any other, only its name in the session goes: whoever
decodes asks for each part, by what the reply says so far.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from ge_engine.contracts import Constraint, Goal, Prompt, Reply, Request, Sampling
from ge_engine.grammar.lark_builder import Parts
from ge_engine.llm.owed import Owed

FINISHES = ("stop", "length", "error")
MOST = 2**63 - 1
"""Of tokens: what the run database can hold."""
Ask = Callable[[int, str | None], str | None]
"""Asks the engine for the part of the constraint of a request that follows a text; for None, its `whole`."""


class AskedConstraint(Constraint):
    """A constraint that is with the engine."""

    def __init__(self, number: int, longest: int, ask: Ask) -> None:
        self._number, self._longest, self._ask = number, longest, ask

    @property
    def longest(self) -> int:
        return self._longest

    def part(self, so_far: str) -> str | None:
        return self._ask(self._number, so_far)

    def whole(self) -> str:
        return self._ask(self._number, None) or ""


def asked_of(constraint: Constraint, so_far: str | None) -> str | None:
    """What an agent asks of a constraint. Raises what the constraint does."""
    return constraint.whole() if so_far is None else constraint.part(so_far)


def request_to_json(owed: Owed) -> dict[str, Any]:
    """A request under the number by which it is answered."""
    request = owed.request
    return {
        "number": owed.number,
        "key": request.key,
        "prompt": asdict(request.prompt),
        "sampling": asdict(request.sampling),
        "constraint": _constraint_to_json(request.constraint),
        "model": request.model,
    }


def request_from_json(held: Mapping[str, Any], ask: Ask) -> tuple[int, Request]:
    """The number and the request. Raises one of `wire.NO_MESSAGE`."""
    number, given = int(held["number"]), dict(held["prompt"])
    goal = given.pop("goal")
    for name in ("addresses", "background"):
        given[name] = tuple(given[name])
    prompt = Prompt(**given, goal=_goal(goal) if goal else None)
    constraint = _constraint_from_json(held["constraint"], number, ask)
    return number, Request(held["key"], prompt, Sampling(**held["sampling"]), constraint, held["model"])


def reply_to_json(reply: Reply) -> dict[str, Any]:
    return asdict(reply)


def reply_from_json(held: Mapping[str, Any]) -> Reply:
    """Raises one of `wire.NO_MESSAGE`: it is no reply."""
    reply = Reply(**{one.name: held[one.name] for one in fields(Reply)})
    texts = (reply.text, reply.model, reply.error)
    counts = (reply.prompt_tokens, reply.completion_tokens)
    if not all(isinstance(text, str) for text in texts) or reply.finish not in FINISHES:
        raise ValueError("a reply expected")
    if not all(type(count) is int and 0 <= count <= MOST for count in counts):
        raise ValueError("a reply expected")
    if not math.isfinite(reply.seconds):
        raise ValueError("a reply expected")
    return reply


def _constraint_to_json(constraint: Constraint | None) -> dict[str, Any] | None:
    if constraint is None:
        return None
    text = constraint.texts[0] if type(constraint) is Parts else None
    return {"text": text, "longest": constraint.longest}


def _constraint_from_json(held: Mapping[str, Any] | None, number: int, ask: Ask) -> Constraint | None:
    if held is None:
        return None
    if held["text"] is not None:
        return Parts((str(held["text"]),))
    return AskedConstraint(number, int(held["longest"]), ask)


def _goal(held: Mapping[str, Any]) -> Goal:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in held.items()
    }
    return Goal(**values)

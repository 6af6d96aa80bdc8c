"""What an operator asks a language model, and what it answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ge_engine.contracts.goal import Goal

Section = Literal["task", "instructions", "figures", "feedback", "profile", "file", "attempts", "goal"]
BACKGROUND: tuple[Section, ...] = (
    *("task", "instructions", "figures", "feedback"),
    *("profile", "file", "attempts", "goal"),
)
"""All that a prompt can be told of the run, in the order in which it is read."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an operator asks. `address` is the block that the reply rewrites, "" for prose; `addresses` in its
    place are blocks of which the reply rewrites as many as it likes, as one change.

    `grammar` names the form of the answer ("block", "edits", ...); None asks for free text. `material` is
    code that the grammar may take statements from: another parent's version of the block. `goal` is what the
    child must do to its parent's figures; the form "moves" offers nothing else. `background` names what the
    engine tells of the run before `user`, as far as the model has room for it.
    """

    system: str
    user: str
    address: str = ""
    grammar: str | None = None
    intent: str = ""
    material: str = ""
    goal: Goal | None = None
    addresses: tuple[str, ...] = ()
    background: tuple[Section, ...] = ()


@dataclass(frozen=True, slots=True)
class Sampling:
    """`max_tokens` bounds the reply; `seed` makes a local model's draw repeatable."""

    temperature: float
    max_tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class Reply:
    """`finish`: "stop", "length" (cut off at the token limit) or "error" (see `error`). An error with tokens
    is an answer that cannot be used, and is charged; one without is no answer."""

    text: str
    finish: Literal["stop", "length", "error"]
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    model: str
    error: str = ""

    @property
    def answered(self) -> bool:
        """Whether the model has answered, be it of no use."""
        return self.finish != "error" or self.prompt_tokens + self.completion_tokens > 0


def fenced(code: str, language: str = "python") -> str:
    """Code as a prompt shows it: between fences that are longer than any in it."""
    longest = max((len(run) for run in re.findall("`+", code)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n" + code.rstrip("\n") + f"\n{fence}"

"""How a candidate ended. Expected failures are values, so they can be recorded and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Fault = Literal["candidate", "engine", "infrastructure"]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A reply that cannot be read, a check or a constraint says no.

    All but a constraint on scores say so before any training. `stage` is the name of the check, or one of
    `STAGES`; `reason` is a sentence that a person, or a model asked to repair the reply, can act on.
    """

    stage: str
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """An operator found nothing to do (two parents without a differing block): no model call."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Training or scoring began and did not end in a score.

    `kind` is one of "timeout", "crash", "out of memory", "not finite", "diverged", "too slow"
    (than `max_slowdown` allows), "stopped" (early, by `halving`), "error".
    Only a `fault` of "candidate" counts against the individual; the others are tried again.
    """

    stage: str
    kind: str
    reason: str
    fault: Fault = "candidate"


@dataclass(frozen=True, slots=True)
class Scored:
    """Every objective is a finite number. `details` holds what reports show (curve, seconds). `errors` are
    the standard errors of objectives that chance moves, in their units, as far as they are known."""

    objectives: Mapping[str, float]
    details: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)


def storable(text: str) -> str:
    """`text` with a question mark for what no UTF-8 can hold: half a pair of surrogates."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


Outcome = Rejected | Failed | Scored
Fate = Literal["waiting", "scored", "failed", "rejected"]


def fate_of(outcome: Outcome | None) -> Fate:
    """What became of a child, the same in every count: one that breaks a constraint is rejected, trained or
    not, and one that `halving` stopped has failed."""
    match outcome:
        case None:
            return "waiting"
        case Scored():
            return "scored"
        case Failed():
            return "failed"
        case Rejected():
            return "rejected"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of `Rejected` that is no check: what it means, the modules that give it, when it comes.

    `judges`: it says something about the code.
    """

    name: str
    meaning: str
    modules: tuple[str, ...]
    when: Literal["reply", "probe", "score"] = "reply"
    judges: bool = True


STAGES = (
    Stage("skipped", "no draw of operators found anything to do", ("search.child",), judges=False),
    Stage("model", "the language model gave no answer", ("search.proposing",), judges=False),
    Stage(
        "plugin",
        "a part of a plugin failed",
        ("search.proposing", "search.prompting", "search.check_pipeline"),
        judges=False,
    ),
    Stage("grammar", "the block offers nothing in the form asked for: its operator is skipped", ("grammar",)),
    Stage("extract", "the reply holds no code for the block", ("replies", "grammar", "search.proposing")),
    Stage("compile", "the code, or the file with it, is no Python", ("patch", "source", "replies")),
    Stage("contract", "the block is no longer what the file needs of it", ("patch", "source", "replies")),
    Stage("probe", "the evaluator could not probe the genome", ("search.scoring",), "probe", judges=False),
    Stage("constraint", "the genome breaks a constraint of the run", ("evaluation.constraints",), "score"),
)
"""In the order in which a child meets them; the static checks come after "reply", others after "probe"."""

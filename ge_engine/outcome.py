"""How a candidate ended. Expected failures are values, so they can be recorded and counted."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import islice
from numbers import Real
from typing import Any, Literal

Fault = Literal["candidate", "engine", "infrastructure"]
INHERITED = "inherited"
"""The figure of a child that began with its parent's trained weights: the share of its parameters."""
MEASURED_BESIDES = ("flops", "train_seconds", INHERITED)
"""Figures that a training keeps also where they are no objectives."""
PROXIES = ("synflow", "jacob_cov")
"""Figures of an untrained network by which `screen` chooses among children; larger is better."""
SCREEN = "screen"
"""The stage at which a child was rejected that was not chosen."""
MOST_FIGURES, LONGEST_NAME, LONGEST_FEEDBACK = 64, 80, 2000
"""How much of what an evaluator says besides the objectives is kept; lengths in characters."""


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
    (than `max_slowdown` allows), "stopped" (early, by `halving` or a
    `budget_rule`), "error".
    Only a `fault` of "candidate" counts against the individual; the others are tried again.
    """

    stage: str
    kind: str
    reason: str
    fault: Fault = "candidate"


@dataclass(frozen=True, slots=True)
class Scored:
    """Every objective is a finite number. `details` holds what reports show ("curve", "figures", "feedback").
    `errors` are the standard errors of objectives that chance moves, in their units, as far as they are
    known."""

    objectives: Mapping[str, float]
    details: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)

    @property
    def figures(self) -> Mapping[str, float]:
        """What was measured besides the objectives, by name: the finite numbers in `details["figures"]`."""
        return figures_in(self.details.get("figures"), self.objectives)

    @property
    def feedback(self) -> str:
        """What the evaluator says of it in words: `details["feedback"]`, "" without."""
        said = self.details.get("feedback")
        return storable(said[:LONGEST_FEEDBACK]) if isinstance(said, str) else ""


def figures_in(said: object, objectives: Collection[str]) -> dict[str, float]:
    """The finite numbers of a mapping that are no objectives, at most `MOST_FIGURES`."""
    items = said.items() if isinstance(said, Mapping) else ()
    found = {
        storable(str(name))[:LONGEST_NAME]: float(value)
        for name, value in items
        if name not in objectives and _is_finite(value)
    }
    return dict(islice(found.items(), MOST_FIGURES))


def _is_finite(value: object) -> bool:
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def storable(text: str) -> str:
    """`text` with a question mark for what no UTF-8 can hold: half a pair of surrogates."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


Outcome = Rejected | Failed | Scored
Fate = Literal["waiting", "scored", "failed", "rejected"]


def fate_of(outcome: Outcome | None) -> Fate:
    """What became of a child, the same in every count: one that breaks a constraint is rejected, trained or
    not, and one that was stopped early has failed."""
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

    `judges`: it says something about the code. `shown` is what a person reads where `name` is stored.
    """

    name: str
    meaning: str
    modules: tuple[str, ...]
    when: Literal["reply", "probe", "score"] = "reply"
    judges: bool = True
    shown: str = ""


UNPARSEABLE = "unparseable reply"
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
    Stage(
        "extract",
        "the reply holds no code for the block",
        ("replies", "grammar", "search.proposing"),
        shown=UNPARSEABLE,
    ),
    Stage(
        "compile", "the code, or the file with it, is no Python", ("patch", "source", "replies", "structure")
    ),
    Stage("contract", "the block is no longer what the file needs of it", ("patch", "source", "replies")),
    Stage("probe", "the evaluator could not probe the genome", ("search.scoring",), "probe", judges=False),
    Stage(
        SCREEN,
        "another child of its group promised more before training",
        ("search.screen",),
        "score",
        judges=False,
    ),
    Stage("constraint", "the genome breaks a constraint of the run", ("evaluation.constraints",), "score"),
)
"""In the order in which a child meets them; the static checks come after "reply", others after "probe"."""


def shown_stage(name: str) -> str:
    """A stage or check as a person reads it: "unparseable reply" for "extract"."""
    return next((stage.shown for stage in STAGES if stage.name == name and stage.shown), name)


def shown_rejection(stage: str) -> str:
    """What a rejection is called: "rejected at build", or "unparseable reply"."""
    shown = shown_stage(stage)
    return shown if shown == UNPARSEABLE else f"rejected at {shown}"


def counted_rejections(count: int, stage: str) -> str:
    """So many rejections in words: "2 rejected at build", or "2 unparseable replies"."""
    many = UNPARSEABLE if count == 1 else "unparseable replies"
    return f"{count} {shown_rejection(stage).replace(UNPARSEABLE, many)}"

"""How a candidate ended. Expected failures are values, so they can be recorded and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Fault = Literal["candidate", "engine", "infrastructure"]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A check said no before any training.

    `stage` is the check's name ("extract", "compile", "contract", "names", "build", ...);
    `reason` is a sentence that a person, or a model asked to repair the reply, can act on.
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
    """Every objective is a finite number. `details` holds what reports show (curve, seconds)."""

    objectives: Mapping[str, float]
    details: Mapping[str, Any] = field(default_factory=dict)


def storable(text: str) -> str:
    """`text` with a question mark for what no UTF-8 can hold: half a pair of surrogates."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


Outcome = Rejected | Failed | Scored

"""Parts of plugins called as their contracts say: what they return in another type is a TypeError."""

from __future__ import annotations

from ge_engine.contracts import BACKGROUND, Candidate, Check, Persona, Prompt
from ge_engine.outcome import Rejected


def checked(check: Check, candidate: Candidate) -> Rejected | None:
    """What a check says of a candidate."""
    found: object = check.check(candidate)
    if not isinstance(found, Rejected | None):
        raise TypeError(f"it returned {found!r}, neither Rejected nor None")
    return found


def framed(persona: Persona, prompt: Prompt) -> Prompt:
    """A prompt as a persona frames it."""
    made: object = persona.frame(prompt)
    if not isinstance(made, Prompt):
        raise TypeError(f"it returned {made!r}, no Prompt")
    return made


def asked(value: object) -> Prompt:
    """What an operator asks with. Raises ValueError, too: a background that is none."""
    if not isinstance(value, Prompt):
        raise TypeError(f"it asked with {value!r}, no Prompt")
    if not isinstance(value.background, tuple) or set(value.background) - set(BACKGROUND):
        raise ValueError(f"its background is {value.background!r}, no tuple of {', '.join(BACKGROUND)}")
    return value

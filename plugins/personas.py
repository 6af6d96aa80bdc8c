"""Character Role Play: no persona, or one of three (GECCO 2024, section 3.2), in our own words."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ge_engine.contracts import Persona, Prompt
from ge_engine.hookspecs import hookimpl


@dataclass(frozen=True, slots=True)
class Role(Persona):
    """Puts `text` in front of the system prompt; an empty text changes nothing."""

    name: str
    text: str

    def frame(self, prompt: Prompt) -> Prompt:
        if not self.text:
            return prompt
        return dataclasses.replace(prompt, system=self.text + " " + prompt.system)


ROLES = (
    Role("none", ""),
    Role(
        "expert",
        "You are one of the leading researchers of deep learning. Your architectures are known for being "
        "exact, well founded and better than what came before.",
    ),
    Role(
        "eccentric",
        "You are a wildly curious tinkerer who finds things by happy accident. You follow odd hunches, "
        "and some of them turn out brilliant.",
    ),
    Role(
        "innovator",
        "You are a celebrated inventor famous for breaking the conventions of the field. You distrust what "
        "everybody does and make the unorthodox work.",
    ),
)


@hookimpl
def ge_personas() -> list[Persona]:
    return list(ROLES)

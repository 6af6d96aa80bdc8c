"""What the children of a generation ask first, so that two of them do not ask the same."""

from __future__ import annotations

from collections import Counter

from ge_engine.contracts import Prompt

DRAWN_AGAIN = 3
"""How often a child draws anew because another one was first; then it asks the same."""


class FirstPrompts:
    """Of one generation. Children begin in the order of their numbers, each up to its first prompt, so who is
    first depends on nothing that arrives. What a child asks after that is its own affair."""

    def __init__(self) -> None:
        self._taken: set[tuple[str, ...]] = set()
        self._begun: set[str] = set()
        self._again = Counter[str]()

    def takes(self, child: str, digest: str, operator: str, prompt: Prompt) -> bool:
        """Whether `child` may ask `prompt`, which it then has: not where another child's first prompt is the
        same. A prompt for prose is nobody's."""
        if child in self._begun:
            return True
        asked = (digest, operator, prompt.intent, prompt.address, *prompt.addresses)
        if prompt.grammar is not None:
            if asked in self._taken and self._again[child] < DRAWN_AGAIN:
                self._again[child] += 1
                return False
            self._taken.add(asked)
        self._begun.add(child)
        return True

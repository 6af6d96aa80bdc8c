"""Personas: roles that a language model plays."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ge_engine.contracts.prompt import Prompt


class Persona(ABC):
    """A character-role-play frame around an operator's prompt."""

    name: str

    @abstractmethod
    def frame(self, prompt: Prompt) -> Prompt:
        """The prompt with the role in front; its question and its code stay."""

"""A child's place in its generation."""

from __future__ import annotations

from dataclasses import dataclass

from ge_engine.population import individual_id


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """Slot `number` of a generation; its child is generated for `island`."""

    number: int
    generation: int
    island: int

    @property
    def id(self) -> str:
        return individual_id(self.generation, self.number)

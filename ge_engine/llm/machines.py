"""Where language models of a run are decoded, if not here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ge_engine.contracts import AgentExecutor


@dataclass(frozen=True, slots=True)
class Machines:
    """`executor` starts agents there by its `argument`. `folder` is for what they are told and leave.
    `interrupted`: whether nobody waits any more for machines to come."""

    executor: AgentExecutor
    argument: str
    folder: Path
    interrupted: Callable[[], bool]

    def in_folder(self, number: int) -> Machines:
        """The same for the run's model `number`, from 0: each has a folder of its own."""
        return replace(self, folder=self.folder.with_name(f"{self.folder.name}-{number}")) if number else self

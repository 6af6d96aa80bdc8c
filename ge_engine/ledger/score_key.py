"""The key of a genome's score in the run database: its split, its further random seed, its rung."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Split = Literal["validation", "test", "both"]
"""A job may answer both at once; its scores stand under each."""


@dataclass(frozen=True, slots=True)
class ScoreKey:
    """What a score was measured on and with.

    `seed` numbers the further random seeds of replicates from 1 on (0: the run's own); `epochs` is the rung
    of a training by rungs (0: after all of them). Its text is how events name it: "validation", "test/seed
    1", "validation/2 epochs".
    """

    split: Split = "validation"
    seed: int = 0
    epochs: int = 0

    def __str__(self) -> str:
        rung = f"/{counted(self.epochs)}" if self.epochs else ""
        return f"{self.split}{rung}" + (f"/seed {self.seed}" if self.seed else "")


VALIDATION, TEST = ScoreKey(), ScoreKey("test")
"""The scores that the run itself makes."""


def counted(epochs: int) -> str:
    """ "1 epoch", "2 epochs"."""
    return f"{epochs} epoch{'s' if epochs > 1 else ''}"

"""The names under which a genome's scores stand in the ledger (column `split` of table `scores`).

"validation" and "test" are the scores of the run; "validation/2 epochs" that of a stage of a training in
stages (`halving`); "validation/seed 1" and "test/seed 1" those of a training with a further seed.
"""

from __future__ import annotations

VALIDATION, TEST = "validation", "test"
SEED = "/seed "


def counted(epochs: int) -> str:
    return f"{epochs} epoch{'s' if epochs > 1 else ''}"


def at_epochs(epochs: int) -> str:
    """The validation split after so many epochs; 0: after all of them."""
    return f"{VALIDATION}/{counted(epochs)}" if epochs else VALIDATION


def with_seed(split: str, number: int) -> str:
    """A split scored with the `number`-th further seed, from 1 on; 0: with the run's own."""
    return f"{split}{SEED}{number}" if number else split


def seed_of(name: str) -> tuple[str, int]:
    """A split's name and the number of its further seed (0: none)."""
    split, _, number = name.partition(SEED)
    return split, int(number) if number else 0

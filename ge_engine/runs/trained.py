"""A training in full: what is asked of it, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ge_engine.outcome import Scored
from ge_engine.runs.bundle import PREDICT


@dataclass(frozen=True, slots=True)
class Asked:
    """What a training is to differ in from those of its run; None: in nothing. `epochs` of it, on which
    `data` ("train", or "both": validation, too), of at most `train_limit` images (0: all), on `threads`
    cores; `timeout` are seconds from one checkpoint to the next."""

    epochs: int | None = None
    data: str = "train"
    train_limit: int | None = None
    threads: int | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model that was trained in full into `folder`. `validation` and `test` are its figures there, by
    objective, with their standard errors as far as these are known; of validation None where that was trained
    on."""

    folder: Path
    individual: str
    epochs: int
    data: str
    validation: Scored | None
    test: Scored

    @property
    def script(self) -> Path:
        """What answers images: `python predict.py IMAGE...`."""
        return self.folder / PREDICT

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        scores = {"validation": self.validation, "test": self.test}
        return {
            "folder": str(self.folder),
            "individual": self.individual,
            "epochs": self.epochs,
            "data": self.data,
            **{
                split: {"objectives": dict(one.objectives), "errors": dict(one.errors)} if one else None
                for split, one in scores.items()
            },
        }

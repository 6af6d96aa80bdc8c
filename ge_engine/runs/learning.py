"""Whether the seed model was still learning when its training ended."""

from __future__ import annotations

from dataclasses import dataclass

from ge_engine.curves import read_curve
from ge_engine.outcome import Outcome, Scored

RISE = 0.01
"""Of the accuracy in training, from the epoch before the last to the last: a point and more is no end."""


@dataclass(frozen=True, slots=True)
class StillRising:
    """The accuracies in training of the last two epochs, and how many epochs there were."""

    before: float
    last: float
    epochs: int

    @property
    def sentence(self) -> str:
        return (
            f"The baseline's learning curve still rises at its last epoch (accuracy in training "
            f"{100 * self.before:.1f} to {100 * self.last:.1f} %): after more training, children may rank "
            "otherwise."
        )


def still_rising(outcome: Outcome | None) -> StillRising | None:
    """What its curve says of a training; None where it has come to its end, or has no such curve."""
    curve = read_curve(outcome.details) if isinstance(outcome, Scored) else ()
    accuracies = [point["accuracy"] for point in curve[-2:] if "accuracy" in point]
    if len(accuracies) < 2 or accuracies[1] - accuracies[0] < RISE:
        return None
    return StillRising(accuracies[0], accuracies[1], int(curve[-1]["epoch"]))

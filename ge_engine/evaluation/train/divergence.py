"""Ends a training whose loss is not finite, or far above where it began."""

from __future__ import annotations

import math

from torch import Tensor

from ge_engine.evaluation.protocol.claims import LARGEST

DIVERGED = 3.0
"""A mean loss of an epoch, neither the first nor the last, above this many times that of the first step and
of guessing (the logarithm of the number of classes) does not come back."""


class NotFinite(Exception):
    """The loss became NaN, infinite or too large for a report."""


class Diverged(Exception):
    """The loss rose far above where it began."""


def require_finite(value: Tensor, epoch: int) -> None:
    if not (value.abs() <= LARGEST).all():
        raise NotFinite(f"the training loss became {float(value.detach())} in epoch {epoch + 1}")


def require_converging(loss: float, first_loss: float, classes: int, epoch: int) -> None:
    if loss > DIVERGED * max(first_loss, math.log(max(classes, 2))):
        raise Diverged(f"the training loss rose to {loss:.3g} in epoch {epoch + 1}: it diverged")

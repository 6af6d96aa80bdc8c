"""Refuses optimizer steps that are not the trainer's."""

from __future__ import annotations

from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook


class StepsItself(Exception):
    """An optimizer stepped outside the trainer's step."""


class OptimizerGuard:
    """Counts the steps of all optimizers while open, and stops one that is not the trainer's.

    An optimizer that wraps another steps within the trainer's step, and so belongs to it.

    Raises:
        StepsItself: from within such a step, and from `require` where a network has swallowed that.
    """

    def __init__(self) -> None:
        self._ours = False
        self._others = 0
        self._handle = register_optimizer_step_post_hook(self._stepped)

    def step(self, optimizer: Any) -> None:
        """The trainer's step."""
        self._ours = True
        try:
            optimizer.step()
        finally:
            self._ours = False

    def require(self) -> None:
        """No other step was taken."""
        if self._others:
            raise StepsItself(f"the network took {self._others} optimizer steps besides the trainer's")

    def __enter__(self) -> OptimizerGuard:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()

    def _stepped(self, *_: Any) -> None:
        if not self._ours:
            self._others += 1
            self.require()

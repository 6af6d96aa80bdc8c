"""A run that is cut off as by SIGKILL, or interrupted, in the process of the test."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ge_engine.ledger import History, Ledger
from ge_engine.population import SEED_ID


class Death(BaseException):
    """What SIGKILL is to a process."""


@contextmanager
def cut_off(monkeypatch: pytest.MonkeyPatch, moment: int) -> Iterator[None]:
    """Within, a run dies before it writes its score of this number."""
    plain, count = Ledger.add_score, [0]

    def dying(self: Ledger, *arguments: Any) -> None:
        count[0] += 1
        if count[0] == moment:
            raise Death
        plain(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "add_score", dying)
        try:
            yield
        except Death:
            return
    pytest.fail(f"it ended with {count[0]} scores, and did not die at {moment}")


def interrupt_at(split: str) -> Callable[[str, Mapping[str, Any]], None]:
    """An observer that sends SIGINT once, at a child's first outcome on this split."""
    told: list[str] = []

    def observe(name: str, event: Mapping[str, Any]) -> None:
        if name == "outcome" and event["split"] == split and event["individual"] != SEED_ID and not told:
            told.append(name)
            os.kill(os.getpid(), signal.SIGINT)

    return observe


def require_equal(one: Path, other: Path) -> None:
    """Two runs did the same."""
    with History(one) as first, History(other) as second:
        assert first.content() == second.content()

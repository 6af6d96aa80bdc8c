"""A run that is cut off as by SIGKILL, in the process of the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ge_engine.ledger import Ledger


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

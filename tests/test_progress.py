"""A progress display that says something else than what is still to be done."""

from __future__ import annotations

import pytest

from ge_engine.views.live import _time
from ge_engine.views.progress import Progress


@pytest.mark.parametrize(
    ("generations", "generation", "settled", "phase", "said"),
    [
        (0, 0, 0, "starting", ""),
        (2, 0, 4, "training", ", about 0:30 left"),
        (2, 1, 8, "training", ", the finalists are left"),
        (2, 1, 8, "finished", ""),
    ],
)
def test_finalists_that_are_told_as_no_time_at_all(
    generations: int,
    generation: int,
    settled: int,
    phase: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 110.0)
    progress = Progress(100.0, 0, generation, generations, size=8, settled=settled, phase=phase)
    assert _time(progress) == f"0:10{said}"

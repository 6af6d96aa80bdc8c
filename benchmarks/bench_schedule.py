"""How busy the workers are under both schedules, in virtual time.

    python -m benchmarks.bench_schedule [CHILDREN]      default: 400

The loop is the real one; replies take a median of 59 s (95th percentile 147 s), trainings 97 s (360 s),
8 workers. Utilisation is the time worked over workers times the time from the first training to the
last child's submission. Leaves with 1 when `steady` stays under 95 %.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import doubles  # noqa: E402
import virtual  # noqa: E402

from ge_engine import loop  # noqa: E402
from ge_engine.search import event_loop  # noqa: E402

WORKERS = 8
POPULATION = 40
WANTED = 0.95


def utilisation(schedule: str, children: int) -> tuple[float, float]:
    """(share of the workers' time that was worked, virtual hours) between first and last submission."""
    clock = virtual.Clock(WORKERS)
    marks: list[tuple[float, float, int]] = []

    def observe(name: str, data: Mapping[str, Any]) -> None:
        if name == "submitted" and data["split"] == "validation" and data["individual"] != "seed":
            left = sum(max(0.0, free - clock.now) for free in clock.free)
            marks.append((clock.now, clock.worked - left, len(marks)))

    config = doubles.config(
        llm="virtual",
        evaluator="virtual",
        workers=WORKERS,
        schedule=schedule,
        population=POPULATION,
        generations=-(-children // POPULATION),
        elites=POPULATION,
    )
    queue = mock.patch.object(event_loop, "SimpleQueue", return_value=virtual.Queue(clock))
    with tempfile.TemporaryDirectory() as scratch, queue:
        loop.run(doubles.seed(), config, virtual.registry(clock), Path(scratch) / "run", observe)
    (began, before, _), (ended, after, _) = marks[0], marks[-1]
    return (after - before) / (WORKERS * (ended - began)), (ended - began) / 3600


def main() -> int:
    children = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    shares = {}
    for schedule in ("generational", "steady"):
        shares[schedule], hours = utilisation(schedule, children)
        print(
            f"{schedule:13s} {shares[schedule]:6.1%} of {WORKERS} workers' time, {hours:5.2f} virtual hours"
        )
    return 0 if shares["steady"] >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())

"""Kills a scripted run at statements drawn at random, resumes it each time, and compares the run databases.

    python -m benchmarks.crash [MOMENTS] [CHILDREN] [SEED]      default: 50 200, and a seed model of the clock

Leaves with 1 when the killed run's database differs from the uninterrupted one's.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import crashing  # noqa: E402

from ge_engine.runs.audit import check  # noqa: E402


def main() -> int:
    moments = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    children = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else int(time.time())
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        result = crashing.campaign(Path(scratch), moments, children, seed)
        problems = check(Path(scratch) / "killed")
    differing = [table for table, rows in result.whole.items() if rows != result.killed[table]]
    print(
        f"{result.kills} kills in {result.sessions} sessions, {children} children, seed {seed}, "
        f"{time.monotonic() - began:.0f} s: "
        + (f"differing tables: {', '.join(differing)}" if differing else "the run databases are equal")
    )
    for problem in problems:
        print(problem)
    return 1 if differing or problems or result.kills < moments else 0


if __name__ == "__main__":
    sys.exit(main())

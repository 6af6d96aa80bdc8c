"""The report of a large run: seconds to build, size of the file, seconds until the first plot.

    python -m benchmarks.bench_report [CHILDREN] [--keep DIR]      default: 5000

Writes a run with invented scores (tests/synthetic.py) and reads it as `ge report` does. Leaves with 1 when
building takes more than 10 s or the file has more than 20 MB. `--keep` leaves the run and its report in DIR.
The time until the first plot is measured by `make browser`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import synthetic  # noqa: E402

from ge_engine.ledger.history import History  # noqa: E402
from ge_engine.report import build_page, draw, read_run  # noqa: E402

MOST_SECONDS = 10.0
MOST_BYTES = 20_000_000


def bench(folder: Path, children: int) -> bool:
    """Build the report of a run with `children` children; True when it is within its limits."""
    synthetic.write_run(folder, children)
    ledger = sum(path.stat().st_size for path in folder.glob("ledger.sqlite*"))
    began = time.perf_counter()
    with History(folder) as history:
        run = read_run(history, synthetic.STAGES)
    read = time.perf_counter()
    drawings = draw(run)
    drawn = time.perf_counter()
    page = build_page(run, drawings).encode()
    (folder / "report.html").write_bytes(page)
    done = time.perf_counter()
    print(
        f"{len(run.children):,} children, {len(run.front)} on the front, run database {ledger / 1e6:.1f} MB"
    )
    print(f"read {read - began:.2f} s, drawn {drawn - read:.2f} s, written {done - drawn:.2f} s")
    print(f"report {done - began:.2f} s (at most {MOST_SECONDS:.0f}), {len(page) / 1e6:.2f} MB (at most 20)")
    return done - began <= MOST_SECONDS and len(page) <= MOST_BYTES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("children", nargs="?", type=int, default=5000)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    if given.keep is not None:
        sys.exit(0 if bench(given.keep, given.children) else 1)
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(0 if bench(Path(scratch) / "run", given.children) else 1)


if __name__ == "__main__":
    main()

"""One head for many workers: how busy it keeps them, what it costs, and how a large run is read.

    python -m benchmarks.bench_scale [--workers W ...] [--children N] [--part run|read] [--keep DIR]

`run` evolves over simulated workers with the schedule "steady": the engine, its prompts, parsing, checks and
run database are real; replies come at once, and trainings take virtual time (median 97 s, 95th percentile
360 s), in which the engine's own seconds count as they pass. Of workers it has 1, 10, 100 and 1000, each with
at least 20 children a worker and at most N. `read` asks the largest of these runs what people ask: `ge log`,
`ge report`, `ge show`, and a resumed run for its first new child, each in a process of its own.

Leaves with 1 when 1,000 workers are busy for less than 95 % of their time, when fewer than 11 children a
second are generated, when memory grows by more than 10 % after the first quarter of the children, or when an
answer takes more than 30 s of a processor.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

from benchmarks.scaled import MIB, Asked, Simulated, answers, first_new_child, simulate

P = ParamSpec("P")
T = TypeVar("T")
WORKERS = (1, 10, 100, 1000)
CHILDREN_OF_WORKER = 20
LEAST_UTILISATION = 0.95
LEAST_RATE = 11.0
MOST_GROWTH = 0.10
MOST_SECONDS = 30.0
HEAD = "workers  children    busy  children/s  a CPU second   CPU s     MiB, early, late (peak)  run database"


def row(one: Simulated) -> str:
    """A line of the table."""
    memory = f"{one.early // MIB:d} -> {one.late // MIB:d} ({one.peak // MIB:d})"
    return (
        f"{one.workers:7,d} {one.children:9,d} {one.utilisation:7.1%} {one.rate:11.1f} "
        f"{one.children / one.processor:13.1f} {one.processor:7.1f} {memory:>26s} "
        f"{one.database / 1e6:8.1f} MB, {one.database / one.children:,.0f} a child"
    )


def missed(one: Simulated) -> list[str]:
    """The bounds that a run does not keep, in words: fewer workers need no quick head, and a short run says
    nothing of memory."""
    told = []
    if one.workers >= max(WORKERS) and one.utilisation < LEAST_UTILISATION:
        told.append(f"{one.workers:,} workers were busy for {one.utilisation:.1%} of their time")
    if one.workers >= max(WORKERS) and one.rate < LEAST_RATE:
        told.append(f"{one.rate:.1f} children a second with {one.workers:,} workers")
    if one.children >= CHILDREN_OF_WORKER * max(WORKERS) and one.growth > MOST_GROWTH:
        told.append(f"memory grew by {one.growth:.1%} with {one.workers:,} workers")
    return told


def alone(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What `work` gives in a process of its own, whose memory nothing else uses."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments, **named).result()


def run(folder: Path, workers: Sequence[int], children: int) -> list[str]:
    """Print a line for each number of workers, and leave each run in `folder`; the bounds that were not
    kept."""
    print(HEAD)
    found = []
    for number in workers:
        size = children if number == max(workers) else min(children, max(100, CHILDREN_OF_WORKER * number))
        found.append(alone(simulate, folder / f"run-{number}", number, size))
        print(row(found[-1]), flush=True)
    return [told for one in found for told in missed(one)]


def read(folder: Path, workers: int) -> list[str]:
    """Print a line for each question to the run of `workers` in `folder`; those that took too long."""
    print(f"{'asked':32s} seconds  CPU s  peak MiB")
    late = []
    for one in _asked(folder / f"run-{workers}", workers):
        print(f"{one.what:32s} {one.seconds:7.1f} {one.processor:6.1f} {one.peak // MIB:9d}", flush=True)
        late += [f"{one.what} took {one.processor:.1f} s"] if one.processor > MOST_SECONDS else []
    return late


def _asked(folder: Path, workers: int) -> Iterator[Asked]:
    yield from answers(folder)
    yield alone(first_new_child, folder, workers)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--workers", nargs="+", type=int, default=list(WORKERS))
    parser.add_argument("--children", type=int, default=20_000, help="of the run with most workers")
    parser.add_argument("--part", choices=("run", "read"), help="one of the two; both without it")
    parser.add_argument("--keep", type=Path, help="a folder in which the runs stay")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, short = given.keep or Path(scratch), []
        if given.part != "read":
            short += run(folder, given.workers, given.children)
        if given.part != "run":
            short += read(folder, max(given.workers))
    print("\n".join(f"not reached: {told}" for told in short), end="\n" if short else "")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())

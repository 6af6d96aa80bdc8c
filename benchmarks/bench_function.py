"""Evaluations a second by a function of one's own: a new process for each call, and forks of one process.

    python -m benchmarks.bench_function [--calls N] [--workers N]

The function returns at once, so that the rest of an evaluation is measured: the candidate's file is written,
a process begins, its answer is read, what it left is removed. It stands in a file that imports nothing, and
in one that imports torch. Both ways take turns, a tenth of the calls each time, so that other work on the
machine falls on both alike; that the first call of a way loads the file is not counted. Leaves with 1 where
forks are not faster.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ge_engine.config import config_from_dict
from ge_engine.contracts import Evaluation, Job
from ge_engine.evaluation.own_function import open_function
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Scored
from ge_engine.testing.material import PLAIN

WAYS = {"spawn": "a new process each", "fork": "forks of one process"}
FILES = {"imports nothing": "", "imports torch": "import torch\n"}
BODY = 'def score(path, budget):\n    return {"accuracy": 0.5, "parameters": 1}\n'
TURNS = 10


@contextmanager
def opened(way: str, file: Path, workers: int) -> Iterator[Evaluation]:
    given = {"evaluator": "function", "evaluator_argument": f"{file}:score", "timeout": 600.0}
    config = config_from_dict({**given, "workers": workers, "start_method": way})
    scratch = file.parent / way
    seed, names = Seed.from_bytes(PLAIN).genome, ["accuracy", "parameters"]
    with open_function(seed, config, f"{file}:score", names, scratch) as evaluation:
        yield evaluation


def seconds_of(evaluation: Evaluation, calls: int, number: int) -> float:
    """From when so many calls are submitted until all are scored."""
    began = time.monotonic()
    futures = [evaluation.submit(Job(f"{number}.{at}", candidate(at), at)) for at in range(calls)]
    failed = [one for future in futures if not isinstance(one := future.result(), Scored)]
    if failed:
        sys.exit(f"a call failed: {failed[0]}")
    return time.monotonic() - began


def candidate(at: int) -> Genome:
    """Other code than the seed model's, which is traced when it is scored."""
    return Seed.from_bytes(PLAIN + f"\n\nclass Candidate{at}:\n    pass\n".encode()).genome


def rates(head: str, calls: int, workers: int) -> dict[str, float]:
    """Evaluations a second by way."""
    taken = dict.fromkeys(WAYS, 0.0)
    each = max(1, calls // TURNS)
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "job.py"
        file.write_text(head + BODY)
        with opened("spawn", file, workers) as spawn, opened("fork", file, workers) as fork:
            ways = {"spawn": spawn, "fork": fork}
            for one in ways.values():
                seconds_of(one, 1, -1)
            for number in range(calls // each):
                for way, one in ways.items():
                    taken[way] += seconds_of(one, each, number)
    return {way: each * (calls // each) / seconds for way, seconds in taken.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=100, metavar="N")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N")
    given = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    print(f"{given.calls} calls, {given.workers} at once; load {load:.1f} on {os.cpu_count()} cores")
    print(f"{'evaluations a second':24s}" + "".join(f"{name:>24s}" for name in WAYS.values()))
    slower = 0
    for name, head in FILES.items():
        found = rates(head, given.calls, given.workers)
        print(f"{'a file that ' + name:24s}" + "".join(f"{found[way]:24.2f}" for way in WAYS), flush=True)
        slower += found["fork"] <= found["spawn"]
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())

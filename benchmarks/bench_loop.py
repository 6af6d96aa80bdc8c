"""Children a second of the loop itself: scripted model, trivial evaluator, durable run database.

    python -m benchmarks.bench_loop [CHILDREN ...]      default: 200 5000

Prints children/s, bytes of the run database a child, and resident memory at a quarter of the run and at its
end. Replies rewrite a function of two lines and are trusted, so that the loop is measured and not libcst; a
last line gives the whole path, with every reply parsed, for all blocks. Leaves with 1 when the loop is slower
than 300 children/s or memory grows by more than 10 %.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import doubles  # noqa: E402

from ge_engine import loop  # noqa: E402

WANTED = 300.0
SIZE = 50


def resident() -> int:
    """Bytes of resident memory of this process."""
    if Path("/proc/self/statm").exists():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def bench(children: int, **settings: Any) -> bool:
    generations = -(-children // SIZE)
    config = doubles.config(
        llm="scripted:good",
        generations=generations,
        population=SIZE,
        elites=SIZE,
        eot_elites=10,
        **settings,
    )
    memory: dict[int, int] = {}

    def observe(name: str, data: Mapping[str, Any]) -> None:
        if name == "generation_finished":
            memory[data["generation"]] = resident()

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        registry = doubles.registry()
        began, worked = time.perf_counter(), time.process_time()
        loop.run(doubles.seed(), config, registry, folder, observe)
        seconds, worked = time.perf_counter() - began, time.process_time() - worked
        size = sum(path.stat().st_size for path in folder.glob("ledger.sqlite*"))
    early, late = memory[generations // 4], memory[generations - 1]
    growth = late / early - 1
    born = generations * SIZE
    rate = born / seconds
    print(
        f"{born:6d} children  {rate:7.1f} children/s  {born / worked:7.1f} a CPU second  "
        f"{size / born:6.0f} bytes/child  {early / 2**20:.0f} -> {late / 2**20:.0f} MiB ({growth:+.1%})"
    )
    return rate >= WANTED and growth <= 0.10


def main() -> int:
    sizes = [int(argument) for argument in sys.argv[1:]] or [200, 5000]
    good = True
    for children in sizes:
        good = bench(children, grammar="trusted", blocks=("get_optimizer",)) and good
    print("every reply parsed, all blocks:")
    bench(sizes[0])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

"""`make bench-reach`: how far the moves of a search reach in size and structure, without any training.

    python -m benchmarks.bench_reach [--llm uniform] [--slots 100] [--context -1] [SEED ...]

Each seed is evolved by the real loop with the default operators. Children pass the real checks, are built
and run by the isolated probe, and in place of a training get an accuracy drawn from their digest.

Printed per seed: children that passed all checks, those whose parameters differ from the seed's by 5 % or
more, those with at most half, those whose depth or topology differs from their parent's (number or kinds of
modules), the spread of log2(parameters), of children asked to be smaller than a parent that was measured (no
mating between) how many are, by 5 % and 20 %, how many compute different functions, and what the others were
rejected for.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ge_engine import loop
from ge_engine.config import RunConfig, load_config
from ge_engine.contracts import Evaluation, Evaluator, Job, Objective, Probe, Size, Task
from ge_engine.evaluation.futures import then
from ge_engine.genome import Genome, Seed
from ge_engine.hookspecs import hookimpl
from ge_engine.ledger import History
from ge_engine.outcome import Outcome, Rejected, Scored
from ge_engine.population import SEED_ID, Individual
from ge_engine.registry import load_registry

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SEEDS = ("exquisitenet_v2.py", "plain_cnn.py", "resnet.py", "vit.py", "mlp_mixer.py")
SMALLER = ("reduce", "simplify")


class ProbedEvaluation(Evaluation):
    """Probes as a training does, and scores by the probe's figures and a drawn accuracy."""

    measures_sizes = True

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.description = inner.description

    def probe(self, genome: Genome) -> Future[Probe]:
        return self._inner.probe(genome)  # type: ignore[no-any-return]

    def sizes(self, genomes: Sequence[Genome]) -> Future[tuple[Size | None, ...]]:
        return self._inner.sizes(genomes)  # type: ignore[no-any-return]

    def submit(self, job: Job) -> Future[Outcome]:
        drawn = int(hashlib.sha256(job.genome.digest.encode()).hexdigest()[:8], 16) / 2**32

        def scored(probe: Probe) -> Outcome:
            return Scored({"accuracy": drawn, "parameters": probe.facts["parameters"]})

        return then(self.probe(job.genome), scored)


class ProbedEvaluator(Evaluator):
    name = "probed"

    @contextmanager
    def open(
        self,
        seed: Genome,
        config: RunConfig,
        objectives: Sequence[Objective],
        scratch: Path,
        tasks: Mapping[str, Task] | None = None,
    ) -> Iterator[Evaluation]:
        train = load_registry().evaluators["train"]
        with train.open(seed, config, objectives, scratch, tasks) as evaluation:
            yield ProbedEvaluation(evaluation)


@hookimpl
def ge_evaluators() -> list[Evaluator]:
    return [ProbedEvaluator()]


@dataclass(frozen=True, slots=True)
class Reach:
    """What the children of one run reached, of those that passed all checks."""

    slots: int
    sizes: tuple[float, ...]
    structure: int
    smaller: tuple[float, ...]
    distinct: int
    rejected: tuple[tuple[str, int], ...]

    def row(self) -> str:
        changed = sum(abs(size - 1) >= 0.05 for size in self.sizes)
        halved = sum(size <= 0.5 for size in self.sizes)
        spread = statistics.pstdev(math.log2(size) for size in self.sizes) if self.sizes else 0.0
        cut = [sum(size <= bound for size in self.smaller) for bound in (0.95, 0.8)]
        of = len(self.smaller)
        return (
            f"{len(self.sizes):4d}/{self.slots:<4d} {changed:6d} {halved:6d} {self.structure:9d}"
            f" {spread:7.2f} {cut[0]:5d}/{of:<3d} {cut[1]:5d}/{of:<3d}"
            f" {self.distinct:8d}  {', '.join(f'{stage} {count}' for stage, count in self.rejected)}"
        )


def reach(seed: Seed, llm: str, slots: int, random_seed: int, context: int = -1) -> Reach:
    """Evolve `seed` over `slots` children and measure them against the parents that they were made from."""
    config = load_config(
        "demo",
        None,
        {
            "llm": llm,
            "evaluator": "probed",
            "generations": max(1, slots // 20),
            "population": min(20, slots),
            "random_seed": random_seed,
            "context": context,
        },
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        loop.run(seed, config, load_registry(["benchmarks.bench_reach"]), folder, lambda *_: None)
        with History(folder) as history:
            return measured(history, slots)


def measured(history: History, slots: int) -> Reach:
    """The figures of a finished run."""
    everybody = {one.id: one for one in history.individuals()}
    seed = _probe(history, everybody[SEED_ID])
    children = [one for one in everybody.values() if one.scored and one.id != SEED_ID]
    probes = {one.id: _probe(history, one) for one in children}
    parents = {one.id: _probe(history, everybody[one.parents[0]]) for one in children}
    asked = [one for one in children if len(one.steps) == 1 and one.steps[0].intent in SMALLER]
    rejected = Counter(one.outcome.stage for one in everybody.values() if isinstance(one.outcome, Rejected))
    return Reach(
        slots,
        tuple(_parameters(probes[one.id]) / _parameters(seed) for one in children),
        sum(_structure(probes[one.id]) != _structure(parents[one.id]) for one in children),
        tuple(_parameters(probes[one.id]) / _parameters(parents[one.id]) for one in asked),
        len({probe.fingerprint for probe in probes.values()}),
        tuple(rejected.most_common()),
    )


def _probe(history: History, one: Individual) -> Probe:
    probe = history.probe(one.genome.digest)
    assert probe is not None
    return probe


def _parameters(probe: Probe) -> float:
    return max(1.0, probe.facts["parameters"])


def _structure(probe: Probe) -> tuple[tuple[str, str], ...]:
    return tuple((module.path, module.kind) for module in probe.modules)


HEAD = "passed     >=5 %  halved  structure  spread  cut 5 %   cut 20 %   distinct  rejected"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="*", type=Path)
    parser.add_argument("--llm", default="uniform")
    parser.add_argument("--slots", type=int, default=100)
    parser.add_argument("--random-seed", type=int, default=0)
    parser.add_argument("--context", type=int, default=-1)
    given = parser.parse_args()
    files = given.seeds or [EXAMPLES / name for name in SEEDS]
    print(f"{'seed':24s} {HEAD}")
    for file in files:
        found = reach(Seed.load(file), given.llm, given.slots, given.random_seed, given.context)
        print(f"{file.stem:24s} {found.row()}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

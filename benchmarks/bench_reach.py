"""`make bench-reach`: how far the moves of a search reach in size and structure, without any training.

    python -m benchmarks.bench_reach [--llm uniform] [--slots 100] [--keep FOLDER] [SEED ...]

Each seed is evolved by the real loop with the default operators and two repairs. Children pass the real
checks, are built and run by the isolated probe, and in place of a training get an accuracy drawn from their
digest.

Printed per seed: children that passed all checks, those whose parameters differ from the seed model's by 5 %
or more, those whose depth or topology differs from their parent's (number or kinds of modules), the spread of
log2(parameters), of children asked to be smaller than a parent that was measured (no mating between) how many
are, by 5 % and 20 %, how many compute different functions, and what the others were rejected for. Then how
many of the sizes and kinds in `reach_wishes.toml`, which a person would want to change in these seeds, some
child has changed. Ends with 1 where a bound of `reached.py` or of the lists is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.reached import HEAD, Reach, measured, unfulfilled, wishes
from ge_engine import loop
from ge_engine.config import RunConfig, load_config
from ge_engine.contracts import Evaluation, Evaluator, Job, Objective, Probe, Size, Task
from ge_engine.errors import SeedError
from ge_engine.evaluation.futures import then
from ge_engine.genome import Genome, Seed
from ge_engine.hookspecs import hookimpl
from ge_engine.ledger import History
from ge_engine.outcome import Outcome, Scored
from ge_engine.registry import load_registry

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"
SEEDS = (
    EXAMPLES / "exquisitenet_v2.py",
    EXAMPLES / "plain_cnn.py",
    EXAMPLES / "resnet.py",
    EXAMPLES / "vit.py",
    HERE / "seeds" / "char_transformer.py",
    HERE / "seeds" / "tabular_mlp.py",
)
FULFILLED: Mapping[str, float] = {"size": 22 / 25, "kind": 48 / 50}
"""The share of each list of wishes that is to be granted."""


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


def reach(
    seed: Seed, llm: str, slots: int, random_seed: int, repairs: int, context: int, folder: Path
) -> Reach:
    """Evolve `seed` over `slots` children in `folder`, and measure them."""
    settings = {
        "llm": llm,
        "repairs": repairs,
        "evaluator": "probed",
        "generations": max(1, slots // 20),
        "population": min(20, slots),
        "random_seed": random_seed,
        "context": context,
    }
    config = load_config("demo", None, settings)
    loop.run(seed, config, load_registry(["benchmarks.bench_reach"]), folder, lambda *_: None)
    with History(folder) as history:
        return measured(history, slots)


def granted(found: Mapping[Path, Reach]) -> list[str]:
    """Prints how many of the wishes for these seeds were granted; the lists of which too few were."""
    short = []
    for kind, share in FULFILLED.items():
        listed, left = 0, []
        for file, reached in found.items():
            own = [wish for wish in wishes(kind) if wish.seed == file.stem]
            listed += len(own)
            left += unfulfilled(own, file.read_text("utf-8"), reached.texts)
        print(f"{kind}s of the list that were changed: {listed - len(left)} of {listed}")
        print("".join(f"  not: {wish.what} of {wish.seed}\n" for wish in left), end="")
        short += [f"{kind}s of the list"] if listed - len(left) < share * listed else []
    return short


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="*", type=Path, metavar="FILE", help="seed models; else the six")
    parser.add_argument("--llm", default="uniform")
    parser.add_argument("--slots", type=int, default=100)
    parser.add_argument("--random-seed", type=int, default=0)
    parser.add_argument("--repairs", type=int, default=2, help="times a rejected reply is sent back")
    parser.add_argument("--keep", type=Path, help="a folder for the runs, each named for its seed")
    parser.add_argument("--context", type=int, default=-1, help="tokens of a prompt; -1: the model's")
    given = parser.parse_args()
    try:
        seeds = {file: Seed.load(file) for file in given.seeds or SEEDS}
    except SeedError as error:
        parser.error(f"{error.message} {error.hint}")
    found: dict[Path, Reach] = {}
    missed: list[str] = []
    print(f"{'seed':24s} {HEAD}")
    for file, seed in seeds.items():
        with tempfile.TemporaryDirectory() as scratch:
            folder = (given.keep or Path(scratch)) / file.stem
            found[file] = reach(
                seed,
                given.llm,
                given.slots,
                given.random_seed,
                given.repairs,
                given.context,
                folder,
            )
        print(f"{file.stem:24s} {found[file].row()}", flush=True)
        missed += [f"{file.stem}: {words}" for words in found[file].missed()]
    missed += granted(found)
    print("all bounds are kept" if not missed else "missed: " + "; ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""`make bench-inherit ARGS="--data cifar10-jpeg.zip"`: whether inherited trainings rank children alike.

    python -m benchmarks.bench_inherit --data ZIP-OR-FOLDER [--children 24] [--images 10000] [--seeds 1 2 3]
        [--out runs/inherit] [--records FILE]

Children of `examples/exquisitenet_v2.py` are made by the real loop with `uniform`, without any training: a
third each of another depth, of other widths, and changed otherwise, as far as there are. Each is trained,
with each random seed, for all epochs from scratch, for as few from scratch as a child trains that inherits
everything, and inherited by the rule of `--inherit`, with the seed model as its parent.

Printed: the rank correlation (Spearman's) of either with all epochs, its spread over the random seeds, the
seconds and epochs of each, and how many ranks inherited trainings are off, of children that inherited little
and of the others. What was trained is not trained again: with `--records` it is kept there, a line of JSON
each, else in OUT; `inherit_cifar10.jsonl` beside this file has those that were made so far (10,000 images, 8
epochs; random seeds 1 to 3; some seconds count pauses of their machine). Children that another version of the
engine draws are trained anew. Ends with 1 where a training has failed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from benchmarks.inherited import ARMS, INHERITED, SHORT, WHOLE, Training, lines, tabled
from benchmarks.records import Records
from ge_engine import loop
from ge_engine.config import RunConfig, load_config
from ge_engine.contracts import Evaluation, Job
from ge_engine.evaluation.parents import FOLDER
from ge_engine.evaluation.train.inheritance import inherited_epochs
from ge_engine.evaluation.weights import SUFFIX
from ge_engine.genome import Genome, Seed
from ge_engine.ledger import History
from ge_engine.outcome import Outcome, Scored
from ge_engine.population import SEED_ID, with_genome
from ge_engine.registry import load_registry

ROOT = Path(__file__).resolve().parent.parent
SEED = ROOT / "examples" / "exquisitenet_v2.py"
PATIENCE = 3600.0
"""Seconds that a training may take: a busy machine costs no child."""
DRAWN = 4
"""Times as many children are made as are wanted, so that there are some of each kind."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained: `children` with each of `seeds`, on `images`, for `epochs` and less."""

    data: Path
    out: Path
    records: Path
    seeds: tuple[int, ...]
    children: int
    images: int
    epochs: int

    @property
    def short(self) -> int:
        return inherited_epochs(self.epochs, 1.0)

    def folder(self, seed: int) -> Path:
        """Where the weights lie that trainings with this random seed begin with."""
        return self.out / f"seed-{seed}-{self.images}-{self.epochs}"

    @property
    def settings(self) -> dict[str, str | int]:
        """What decides beside child, arm and random seed how a training ends; of the data the name."""
        return {"data": self.data.name, "images": self.images, "epochs": self.epochs}

    def config(self, **changes: Any) -> RunConfig:
        settings = {"task": f"folder:{self.data}", "llm": "uniform", "timeout": PATIENCE}
        training = {"training.train_limit": self.images, "training.epochs": self.epochs}
        return load_config("demo", None, {**settings, **training, **changes})

    def known(self) -> dict[tuple[str, str, int], Training]:
        """What was trained with these settings, by child, arm and random seed."""
        kept = [Training(**row) for row in self._records.read()]
        return {(one.child, one.arm, one.seed): one for one in kept}

    def record(self, one: Training) -> None:
        self._records.add([asdict(one)])

    @property
    def _records(self) -> Records:
        return Records(self.records, self.settings, "training")


@dataclass(frozen=True, slots=True)
class Child:
    """`kind`: "depth" where it has another number of layers with weights than the seed model, "width" where
    only their sizes differ, else "other"."""

    genome: Genome
    kind: str


def made_children(plan: Plan) -> list[Child]:
    """The same for the same settings: children that passed all checks, of each kind as many as there are."""
    folder = plan.out / f"children-{plan.children}"
    drawn = {"generations": 1, "population": DRAWN * plan.children, "evaluator": "probed", "rescore_seeds": 0}
    registry = load_registry(["benchmarks.bench_reach"])
    loop.run(Seed.load(SEED), plan.config(**drawn), registry, folder, lambda *_: None)
    with History(folder) as history:
        by_kind: dict[str, list[Child]] = {"depth": [], "width": [], "other": []}
        for one in with_genome(history.individuals()):
            if one.id != SEED_ID and one.scored:
                kind = _kind(history, one.genome)
                by_kind[kind].append(Child(one.genome, kind))
    mixed = [one for row in zip_longest(*by_kind.values()) for one in row if one is not None]
    return mixed[: plan.children]


def _kind(history: History, genome: Genome) -> str:
    layers, seeds = _layers(history, genome), _layers(history, history.seed.genome)
    return "depth" if len(layers) != len(seeds) else "width" if layers != seeds else "other"


def _layers(history: History, genome: Genome) -> list[int]:
    """The parameters of each module that has any of its own."""
    probe = history.probe(genome.digest)
    return [one.own for one in probe.modules if one.own] if probe else []


@contextmanager
def opened(config: RunConfig, folder: Path) -> Iterator[Evaluation]:
    """The product's own trainer, with a scratch folder that stays."""
    registry = load_registry()
    folder.mkdir(parents=True, exist_ok=True)
    objectives = [registry.objectives[name] for name in config.objective_names]
    train = registry.evaluators["train"]
    with train.open(Seed.load(SEED).genome, config, objectives, folder, registry.tasks) as evaluation:
        yield evaluation


def train_left(plan: Plan, children: Sequence[Child]) -> None:
    """All that no record tells."""
    for seed in plan.seeds:
        folder, known = plan.folder(seed), plan.known()
        left = {arm: [c for c in children if (c.genome.digest, arm, seed) not in known] for arm in ARMS}
        if left[WHOLE] or left[INHERITED]:
            config = plan.config(random_seed=seed, inherit=True)
            with opened(config, folder) as evaluation:
                _train(plan, seed, WHOLE, left[WHOLE], evaluation)
                parent = _parent(plan, seed, evaluation, folder) if left[INHERITED] else ""
                _train(plan, seed, INHERITED, left[INHERITED], evaluation, parent)
        if left[SHORT]:
            brief = plan.config(random_seed=seed, **{"training.epochs": plan.short})
            with opened(brief, folder) as evaluation:
                _train(plan, seed, SHORT, left[SHORT], evaluation)


def _parent(plan: Plan, seed: int, evaluation: Evaluation, folder: Path) -> str:
    """The digest of the seed model, once its trained weights are there."""
    genome = Seed.load(SEED).genome
    if not (folder / FOLDER / f"{genome.digest}{SUFFIX}").exists():
        outcome = evaluation.submit(Job(SEED_ID, genome, seed)).result()
        plan.record(_training(Child(genome, ""), WHOLE, seed, outcome, ""))
    return genome.digest


def _train(
    plan: Plan, seed: int, arm: str, children: Sequence[Child], evaluation: Evaluation, parent: str = ""
) -> None:
    waiting: dict[Future[Outcome], Child] = {
        evaluation.submit(Job(one.genome.digest, one.genome, seed, parent=parent)): one for one in children
    }
    for number, future in enumerate(as_completed(waiting), 1):
        one = waiting[future]
        plan.record(_training(one, arm, seed, future.result(), one.genome.digest))
        print(f"random seed {seed}, {arm}: {number} of {len(waiting)}", flush=True)


def _training(one: Child, arm: str, seed: int, outcome: Outcome, name: str) -> Training:
    if not isinstance(outcome, Scored):
        print(f"failed: {name} ({arm}, random seed {seed}): {outcome.reason}")
        return Training(name, one.kind, arm, seed, None, 0.0, 0, 0.0)
    facts: Mapping[str, float] = outcome.details["facts"]
    accuracy, epochs = outcome.objectives["accuracy"], len(outcome.details["curve"])
    share = facts.get(INHERITED, 0.0)
    return Training(name, one.kind, arm, seed, accuracy, share, epochs, facts["train_seconds"])


def main(arguments: Sequence[str] | None = None) -> int:
    plan = planned(arguments)
    children = made_children(plan)
    kinds = Counter(one.kind for one in children)
    print(f"{len(children)} children: {kinds['depth']} of another depth, {kinds['width']} of other widths")
    train_left(plan, children)
    wanted = {one.genome.digest for one in children}
    trained = [one for one in plan.known().values() if one.child in wanted and one.seed in plan.seeds]
    print("\n".join(lines(tabled(trained), plan.epochs, plan.short)))
    return 1 if any(one.accuracy is None for one in trained) else 0


def planned(arguments: Sequence[str] | None = None) -> Plan:
    """What the command line asks for. Ends with 2 and a sentence where it asks for what cannot be."""
    parser = argparse.ArgumentParser(prog="bench_inherit", description="How inherited trainings rank.")
    parser.add_argument("--data", type=Path, required=True, help="CIFAR-10 as JPEG: a zip, or a folder")
    parser.add_argument("--out", type=Path, default=Path("runs/inherit"), help="where weights are kept")
    parser.add_argument("--records", type=Path, help="a file that keeps what was trained")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="random seeds")
    parser.add_argument("--children", type=int, default=24)
    parser.add_argument("--images", type=int, default=10_000, help="to train on")
    parser.add_argument("--epochs", type=int, default=8)
    given = parser.parse_args(arguments)
    if not given.data.exists():
        parser.error(f"{given.data} is not there; give the data as --data ZIP-OR-FOLDER.")
    if given.children < 2:
        parser.error("Children are ranked: give two or more with --children.")
    return Plan(
        given.data.resolve(),
        given.out.resolve(),
        (given.records or given.out / "trained.jsonl").resolve(),
        tuple(dict.fromkeys(given.seeds)),
        given.children,
        given.images,
        given.epochs,
    )


if __name__ == "__main__":
    sys.exit(main())

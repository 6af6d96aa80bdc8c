"""A run of any size without a model and without training: real run database, real genomes, invented scores.

Its shape is that of a run: most replies are rejected somewhere, scores drift from parent to child, the
front moves. Some replies are hostile: what they hold must stay text wherever it is shown.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ge_engine.config import config_from_dict
from ge_engine.contracts import Prompt, Reply, Sampling
from ge_engine.genome import Genome, Seed
from ge_engine.ledger import ChildRecord, Ledger
from ge_engine.ledger.records import Call
from ge_engine.ledger.score_key import TEST, VALIDATION
from ge_engine.notation import Notation
from ge_engine.outcome import Failed, Rejected, Scored
from ge_engine.pareto import Direction, losses, non_dominated
from ge_engine.population import SEED_ID, Individual, Step, individual_id
from ge_engine.source.segments import Segment
from ge_plugins.objectives import ge_objectives

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "exquisitenet_v2.py"
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><b>bold</b>&amp;${1+1}\u2028</style><!--"
DIRECTIONS: dict[str, Direction] = {"accuracy": "max", "parameters": "min", "flops": "min"}
STAGES = ("extract", "compile", "contract", "names", "unchanged", "seen", "build", "shape", "gradient")
REASONS = {
    "extract": "the reply holds no code that defines the block",
    "compile": "line 7: unexpected indent",
    "contract": "the signature of forward changed from (self, x) to (self, x, mask)",
    "names": "the name 'einops' is not defined",
    "unchanged": "the answer equals the block that it was asked to change",
    "seen": "it is the same as an individual that the run has",
    "build": "RuntimeError: in_channels must be divisible by groups",
    "shape": "the output has shape (2, 384), (2, 10) is wanted",
    "gradient": "no gradient reaches 3 parameters that had one in the seed",
}
INTENTS = ("hyperparameters", "uncommon-hyperparameters", "complex", "reduce", "uncommon", "significant")
NOTATIONS = {one.name: Notation(one.unit, one.format) for one in ge_objectives()}
PERSONAS = ("none", "expert", "eccentric", "innovator")


@dataclass
class Writer:
    """Writes generations of `size` children into a run database, each from the survivors of the one
    before."""

    ledger: Ledger
    seed: Seed
    objectives: tuple[str, ...]
    rng: random.Random
    size: int
    pool: list[Individual] = field(default_factory=list)

    def write_seed(self) -> None:
        scores = self._chosen({"accuracy": 0.712, "parameters": 518_230.0, "flops": 3.9e7})
        outcome = Scored(scores, {"curve": _curve(0.712, self.rng)})
        one = Individual(SEED_ID, 0, -1, (), (), self.seed.genome, outcome)
        self.ledger.record_children([ChildRecord(one, "", None)])
        self.ledger.add_score(one.genome.digest, VALIDATION, outcome)  # type: ignore[union-attr]
        self.ledger.add_score(one.genome.digest, TEST, Scored(_shifted(scores, -0.01)))  # type: ignore[union-attr]
        self.pool = [one]

    def write_generation(self, generation: int) -> None:
        self.ledger.start_generation(generation, self.size)
        born = [self._child(generation, slot) for slot in range(self.size)]
        scored = [one for one in (*self.pool, *born) if one.scored]
        directions = {name: DIRECTIONS[name] for name in self.objectives}
        best = non_dominated([losses(one.objectives, directions) for one in scored])
        rest = [one for at, one in enumerate(scored) if at not in set(best)]
        self.rng.shuffle(rest)
        self.pool = [scored[at] for at in best][:44] + rest[: max(0, 20 - len(best))]
        front = [scored[at].id for at in best]
        merged = [one.id for one in born if not isinstance(one.outcome, Rejected)]
        self.ledger.finish_generation(generation, [[one.id for one in self.pool]], front, merged)

    def finish(self) -> None:
        for one in self.pool:
            assert one.genome is not None
            self.ledger.add_score(one.genome.digest, TEST, Scored(_shifted(one.objectives, -0.008)))
        self.ledger.set_stopped("finished: all generations")

    def _child(self, generation: int, slot: int) -> Individual:
        rng, name = self.rng, individual_id(generation, slot)
        mates = len(self.pool) > 1 and rng.random() < 0.3
        parents = rng.sample(self.pool, 2 if mates else 1)
        genome = parents[0].genome
        assert genome is not None
        address = rng.choice([a for a in genome.evolvable if "." not in a])
        operator = "mating" if mates else "eot" if generation and rng.random() < 0.2 else "mutation"
        intent = {"mating": "combine", "eot": "apply-thought"}.get(operator) or rng.choice(INTENTS)
        step = Step(operator, rng.choice(PERSONAS), intent, address, "block")
        new, code = _edited(genome, address, rng)
        self._ask(name, generation, genome, step, code)
        if rng.random() < 0.35:
            stage = rng.choice(STAGES)
            lost = None if stage in ("extract", "compile") else new
            rejected = Rejected(stage, HOSTILE if rng.random() < 0.02 else REASONS[stage])
            one = Individual(name, generation, slot, tuple(p.id for p in parents), (step,), lost, rejected)
            self.ledger.record_children([ChildRecord(one, "", rejected)])
            return one
        outcome = self._outcome(parents)
        one = Individual(name, generation, slot, tuple(p.id for p in parents), (step,), new, outcome)
        self.ledger.record_children([ChildRecord(one, "", None)])
        self.ledger.add_score(new.digest, VALIDATION, outcome)
        return one

    def _outcome(self, parents: list[Individual]) -> Scored | Failed:
        rng = self.rng
        if rng.random() < 0.04:
            return Failed(
                "train", rng.choice(("timeout", "not finite", "out of memory")), "the limit is 120 s"
            )
        base = parents[0].objectives
        parameters = float(round(base["parameters"] * math.exp(rng.gauss(0.01, 0.15))))
        gap = max(0.004, _ceiling(base["parameters"]) - base["accuracy"]) * math.exp(rng.gauss(0.2, 0.35))
        accuracy = max(0.1, _ceiling(parameters) - gap)
        accuracy = rng.uniform(0.1, 0.5) if rng.random() < 0.06 else accuracy
        scores = self._chosen({"accuracy": accuracy, "parameters": parameters, "flops": 75.3 * parameters})
        return Scored(scores, {"curve": _curve(accuracy, rng)})

    def _ask(self, name: str, generation: int, genome: Genome, step: Step, code: str) -> None:
        rng = self.rng
        text = f"```python\n{code}\n```"
        if rng.random() < 0.02:
            text = f"{HOSTILE}\n{text}"
        old = genome.blocks[step.address].code
        asked = f"Rework this code ({step.intent}).\n\n```python\n{old}\n```\n\nRules."
        prompt = Prompt("You improve PyTorch code.", asked, step.address, "block", step.intent)
        reply = Reply(text, "stop", len(asked) // 4, len(text) // 4, rng.uniform(1, 20), "synthetic")
        sampling = Sampling(rng.uniform(0.05, 0.4), 1000, rng.getrandbits(31))
        call = Call(f"{name}/0", name, generation, prompt, sampling, reply, genome.digest, "block", "")
        self.ledger.add_call(call)

    def _chosen(self, scores: dict[str, float]) -> dict[str, float]:
        return {name: scores[name] for name in self.objectives}


def write_run(
    folder: Path, children: int, size: int = 50, objectives: tuple[str, ...] = ("accuracy", "parameters")
) -> None:
    """A finished run of about `children` children in `folder`, the same each time."""
    for _ in generations(folder, children, size, objectives):
        pass


def generations(
    folder: Path, children: int, size: int = 50, objectives: tuple[str, ...] = ("accuracy", "parameters")
) -> Iterator[int]:
    """Write a run generation by generation, yielding the number of each."""
    seed = Seed.load(EXAMPLE)
    count = -(-children // size)
    config = config_from_dict({"population": size, "generations": count, "objectives": list(objectives)})
    with Ledger.create(folder, seed, config) as ledger:
        ledger.set_config(config, {name: DIRECTIONS[name] for name in objectives}, NOTATIONS)
        writer = Writer(ledger, seed, objectives, random.Random(7), size)
        writer.write_seed()
        for generation in range(count):
            writer.write_generation(generation)
            yield generation
        writer.finish()


def _edited(genome: Genome, address: str, rng: random.Random) -> tuple[Genome, str]:
    """The genome with some numbers of a block changed, and the block's new code."""
    segment = genome.segment(address)
    assert segment is not None
    text = segment.text
    for _ in range(rng.randint(1, 3)):
        spot = rng.choice(list(re.finditer(r"\b\d+\b", text)))
        text = f"{text[: spot.start()]}{rng.randint(1, 512)}{text[spot.end() :]}"
    if rng.random() < 0.3:
        text = re.sub(
            r"(?m)^( +)return (.+)$", rf"\1scale = {rng.random():.3f}\n\1return scale * (\2)", text, count=1
        )
    return genome.replace(address, Segment(text, address)), text


def _ceiling(parameters: float) -> float:
    return 0.96 - 0.3 * (1 + parameters / 20_000) ** -0.45


def _curve(accuracy: float, rng: random.Random) -> list[dict[str, float]]:
    return [
        {
            "epoch": epoch,
            "loss": 2.3 * math.exp(-0.5 * epoch) + rng.uniform(0.2, 0.3),
            "accuracy": accuracy * (1 - math.exp(-0.9 * epoch)) + rng.uniform(0, 0.01),
        }
        for epoch in range(1, 5)
    ]


def _shifted(scores: dict[str, float] | object, by: float) -> dict[str, float]:
    return {k: v + by if k == "accuracy" else v for k, v in dict(scores).items()}  # type: ignore[call-overload]

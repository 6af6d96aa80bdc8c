"""`make bench-llm`: how many replies become new children that pass the checks, and how fast, by kind of
grammar.

The embedded model on ExquisiteNetV2 at 32x32x3 with 10 classes. Prompts come from the built-in operators
(all six mutation types, mating, Evolution of Thought), replies climb the real checks, probes run in the
isolated worker. Arms: unconstrained, block, edits, default (what the operators ask for) and uniform (no
model).
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.plain_generate import plain_generate
from ge_engine.config import PRESETS, RunConfig, config_from_dict
from ge_engine.contracts import (
    Context,
    Dataset,
    Grammar,
    LanguageModel,
    Prompt,
    Reply,
    Request,
    RunFacts,
    Sampling,
    Split,
    Target,
)
from ge_engine.evaluation.train_evaluation import TrainEvaluation, open_training
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Rejected, Scored, Skipped
from ge_engine.patch import Patch, apply
from ge_engine.population import Direction, Individual
from ge_engine.registry import Registry, load_registry
from ge_engine.search.check_pipeline import CheckPipeline, Rewrite

SEED_FILE = Path(__file__).parents[1] / "examples" / "exquisitenet_v2.py"
DIRECTIONS: dict[str, Direction] = {"accuracy": "max", "parameters": "min"}
ROUND = 50
PROSE_TOKENS = 100
GRAMMARS = {"unconstrained": "none", "block": "block", "edits": "edits", "default": "", "uniform": ""}
UNCONSTRAINED_SHARE = 0.16


@dataclass
class Arm:
    """One row of the table. `grammar` "" takes what the operator asks for, "none" no grammar at all."""

    name: str
    grammar: str
    replies: int
    stages: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    digests: set[str] = field(default_factory=set)
    admitted_digests: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    graphs: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    tokens: int = 0

    @property
    def admitted(self) -> int:
        return self.stages["admitted"]

    @property
    def per_minute(self) -> float:
        return 60 * self.admitted / self.seconds if self.seconds else 0.0


class Bench:
    """Everything that the arms share: seed, checks, a pool of parents, an open evaluation."""

    def __init__(
        self, registry: Registry, evaluation: TrainEvaluation, config: RunConfig, seed: Genome
    ) -> None:
        self.registry = registry
        self.evaluation = evaluation
        self.config = config
        self.seed = seed
        self.seed_probe = evaluation.probe(seed).result()
        self.checks = CheckPipeline(registry.checks.values(), self.seed_probe, lambda name: name)
        self.origin = _individual("seed", seed, 0.90)
        self.pool = self._pool(16)

    def run(self, arm: Arm, model: LanguageModel) -> Arm:
        """Ask for `arm.replies` patches, in rounds, and check each as soon as it is there."""
        rng = random.Random(arm.name)
        tried: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        started, worked = time.perf_counter(), time.process_time()
        asked = 0
        while asked < arm.replies:
            chains = [self._chain(rng, asked + i) for i in range(min(ROUND, arm.replies - asked))]
            asked += len(chains)
            self._round(arm, model, chains, tried, rng)
        arm.seconds, arm.cpu_seconds = time.perf_counter() - started, time.process_time() - worked
        return arm

    def _round(
        self, arm: Arm, model: LanguageModel, chains: list[Chain], tried: Any, rng: random.Random
    ) -> None:
        waiting = [(chain, next(chain.proposal)) for chain in chains]
        while waiting:
            asks = [self._ask(arm, chain, prompt, tried, rng) for chain, prompt in waiting]
            open_asks = [ask for ask in asks if not isinstance(ask.constraint, Rejected)]
            for ask in asks:
                if isinstance(ask.constraint, Rejected):
                    self._count(arm, ask.constraint)
            waiting = []
            futures = []
            for index, reply in model.generate([ask.request() for ask in open_asks]):
                ask = open_asks[index]
                arm.tokens += reply.completion_tokens
                try:
                    waiting.append((ask.chain, ask.chain.proposal.send(reply)))
                except StopIteration as stop:
                    futures.append(self._judge(arm, ask, reply, stop.value, tried))
            for future in futures:
                future()

    def _judge(self, arm: Arm, ask: Ask, reply: Reply, result: Any, tried: Any) -> Any:
        """Static checks now; a function that waits for the probe and runs the rest."""
        patch = ask.read(reply) if isinstance(result, _Unread) else result
        if ask.grammar is not None and ask.target is not None:
            key = (ask.chain.genome.digest, ask.prompt.address, ask.grammar.name)
            tried[key].add(ask.grammar.canonical(reply, ask.target))
        genome = patch if isinstance(patch, Rejected | Skipped) else apply(ask.chain.genome, patch)
        if isinstance(genome, Rejected | Skipped):
            return lambda: self._count(arm, genome)
        rewrite = Rewrite(genome, ask.chain.genome, patch)
        verdict = self.checks.static(rewrite, lambda digest: "twin" if digest in arm.digests else None)
        if verdict is not None:
            return lambda: self._count(arm, verdict)
        arm.digests.add(genome.digest)
        future = self.evaluation.probe(genome)
        return lambda: self._finish(arm, rewrite, future.result())

    def _finish(self, arm: Arm, rewrite: Rewrite, probe: Any) -> None:
        verdict = self.checks.probed(
            rewrite, probe, lambda _: None, lambda print_: "twin" if print_ in arm.functions else None
        )
        if verdict is None:
            arm.functions.add(probe.fingerprint)
            arm.admitted_digests.add(rewrite.genome.digest)
            arm.graphs += probe.graph != self._graph_of(rewrite.parent)
        self._count(arm, verdict)

    def _graph_of(self, genome: Genome) -> str:
        return self.evaluation.probe(genome).result().graph

    def _count(self, arm: Arm, verdict: Rejected | Skipped | None) -> None:
        stage = verdict.stage if isinstance(verdict, Rejected) else "skipped" if verdict else "admitted"
        arm.stages[stage] += 1
        if verdict is not None:
            arm.reasons[f"{stage}: {verdict.reason[:110]}"] += 1

    def _chain(self, rng: random.Random, number: int) -> Chain:
        names = ("mutation", "mutation", "mutation", "mating", "eot")
        operator = self.registry.operators[names[number % len(names)]]
        parents = tuple(rng.sample(self.pool, 2))
        genome = parents[0].genome if operator.name == "mating" or rng.random() < 0.5 else self.seed
        context = Context(
            genome,
            genome.evolvable,
            random.Random(rng.random()),
            lambda _prompt, _reply: _Unread(),  # type: ignore[arg-type, return-value]
            parents,
            RunFacts(1, self.origin, tuple(self.pool), DIRECTIONS),
        )
        return Chain(genome, operator.propose(context))

    def _ask(self, arm: Arm, chain: Chain, prompt: Prompt, tried: Any, rng: random.Random) -> Ask:
        name = "" if arm.grammar == "none" or not prompt.address else arm.grammar or prompt.grammar or ""
        sampling = Sampling(
            rng.uniform(*self.config.temperature), rng.randint(*self.config.reply_tokens), rng.getrandbits(32)
        )
        if not prompt.address:
            sampling = replace(sampling, max_tokens=PROSE_TOKENS)
        persona = self.registry.personas[rng.choice(sorted(self.registry.personas))]
        prompt = persona.frame(prompt)
        if not name:
            reader = self.registry.grammars["block"] if prompt.address else None
            target = Target(chain.genome, prompt.address) if prompt.address else None
            return Ask(chain, prompt, sampling, reader, target, None)
        grammar = self.registry.grammars[name]
        key = (chain.genome.digest, prompt.address, name)
        target = Target(
            chain.genome, prompt.address, frozenset(tried[key]), rng.getrandbits(32), prompt.material
        )
        constraint = grammar.constraint(target)
        prompt = replace(prompt, user=prompt.user + "\n\n" + grammar.instructions(target))
        return Ask(chain, prompt, sampling, grammar, target, constraint)

    def _pool(self, size: int) -> list[Individual]:
        """Parents that differ from the seed model: drawn at random through the edits grammar, scores made
        up."""
        model = self.registry.language_models["uniform"].open("", self.config)
        grammar, rng = self.registry.grammars["edits"], random.Random(7)
        found: list[Individual] = []
        while len(found) < size:
            target = Target(self.seed, rng.choice(self.seed.evolvable), seed=rng.getrandbits(32))
            constraint = grammar.constraint(target)
            if isinstance(constraint, Rejected):
                continue
            request = Request("pool", Prompt("", ""), Sampling(1.0, 1000, rng.getrandbits(32)), constraint)
            ((_, reply),) = model.generate([request])
            patch = grammar.decode(reply, target)
            genome = patch if isinstance(patch, Rejected) else apply(self.seed, patch)
            if not isinstance(genome, Rejected):
                found.append(_individual(f"g0s{len(found)}", genome, 0.91))
        return found


class _Unread:
    """Stands for a reply that the bench reads itself, once the operator has returned."""


@dataclass
class Chain:
    genome: Genome
    proposal: Generator[Prompt, Reply, Any]


@dataclass
class Ask:
    chain: Chain
    prompt: Prompt
    sampling: Sampling
    grammar: Grammar | None
    target: Target | None
    constraint: Any

    def request(self) -> Request:
        return Request("bench", self.prompt, self.sampling, self.constraint)

    def read(self, reply: Reply) -> Patch | Rejected:
        assert self.grammar is not None
        assert self.target is not None
        return self.grammar.decode(reply, self.target)


def _individual(identity: str, genome: Genome, accuracy: float) -> Individual:
    scored = Scored({"accuracy": accuracy, "parameters": 518230.0})
    return Individual(identity, 0, 0, (), (), genome, scored)


@contextmanager
def bench(workers: int) -> Iterator[Bench]:
    config = config_from_dict({**PRESETS["demo"], "workers": workers})
    registry = load_registry()
    seed = Seed.load(SEED_FILE).genome
    noise = Split(torch.randint(0, 256, (256, 3, 32, 32), dtype=torch.uint8), torch.arange(256) % 10)
    data = Dataset(noise, noise, noise, tuple("0123456789"))
    with (
        tempfile.TemporaryDirectory() as scratch,
        open_training(seed, config, (), Path(scratch), data) as evaluation,
    ):
        yield Bench(registry, evaluation, config, seed)


def table(arms: Sequence[Arm]) -> str:
    """One column per arm: replies that each check rejected."""
    stages = sorted({stage for arm in arms for stage in arm.stages if stage != "admitted"})
    rows: list[tuple[str, Iterable[str]]] = [("replies", [str(sum(arm.stages.values())) for arm in arms])]
    rows += [(f"- {stage}", [str(arm.stages[stage]) for arm in arms]) for stage in stages]
    rows += [
        ("passed checks", [str(arm.admitted) for arm in arms]),
        ("passed of 100", [f"{100 * arm.admitted / max(1, sum(arm.stages.values())):.0f}" for arm in arms]),
        ("distinct", [str(len(arm.admitted_digests)) for arm in arms]),
        ("other graph", [str(arm.graphs) for arm in arms]),
        ("- % of passed", [f"{100 * arm.graphs / max(1, arm.admitted):.0f}" for arm in arms]),
        ("passed a minute", [f"{arm.per_minute:.0f}" for arm in arms]),
        ("tokens per second", [f"{arm.tokens / max(arm.seconds, 1e-9):.0f}" for arm in arms]),
        ("seconds", [f"{arm.seconds:.0f}" for arm in arms]),
        ("- of this process", [f"{arm.cpu_seconds:.0f}" for arm in arms]),
    ]
    head = f"{'':20}" + "".join(f"{arm.name:>15}" for arm in arms)
    return "\n".join(
        [head, *(f"{name:20}" + "".join(f"{cell:>15}" for cell in cells) for name, cells in rows)]
    )


def _replies(name: str, replies: int) -> int:
    """Unconstrained replies run to the token limit and few pass the checks: a share of them shows the
    rate."""
    return max(1, round(replies * UNCONSTRAINED_SHARE)) if name == "unconstrained" else replies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replies", type=int, default=200)
    parser.add_argument("--arms", default="unconstrained,block,edits,default,uniform")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--plain", type=int, default=10, help="replies of the loop over transformers' generate"
    )
    parser.add_argument("--llm-backend", choices=("auto", "torch", "openvino"), default="auto")
    parser.add_argument("--reasons", action="store_true", help="print why replies were rejected")
    options = parser.parse_args()
    arms = [Arm(n, GRAMMARS[n], _replies(n, options.replies)) for n in options.arms.split(",")]
    with bench(options.workers) as shared:
        config = replace(shared.config, llm_backend=options.llm_backend)
        embedded = shared.registry.language_models["smollm2"].open("", config)
        print(f"model: {embedded.name}", flush=True)
        uniform = shared.registry.language_models["uniform"].open("", shared.config)
        for arm in arms:
            shared.run(arm, uniform if arm.name == "uniform" else embedded)
            print(
                f"{arm.name}: {arm.admitted} of {sum(arm.stages.values())} in {arm.seconds:.0f} s", flush=True
            )
            if options.reasons:
                for reason, times in arm.reasons.most_common(12):
                    print(f"    {times:3} x {reason}")
        if options.plain:
            by_torch = replace(shared.config, llm_backend="torch")
            whole = shared.registry.language_models["smollm2"].open("", by_torch)
            plain = shared.run(Arm("plain generate", "", options.plain), plain_generate(whole))
            arms.append(plain)
    print()
    print(table(arms))
    default = next((arm for arm in arms if arm.name == "default"), None)
    if default is not None and options.plain and plain.per_minute:
        print(f"\nbatched over plain generate: {default.per_minute / plain.per_minute:.1f} x passed a minute")


if __name__ == "__main__":
    main()

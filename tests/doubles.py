"""A scripted language model, two grammars and two evaluators without training, registered as a plugin is.

`--plugin doubles`. Everything they do follows from the request or the genome, never from time or order.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ge_engine.config import RunConfig, config_from_dict
from ge_engine.contracts import (
    Candidate,
    Check,
    Constraint,
    Evaluation,
    Evaluator,
    Grammar,
    Job,
    LanguageModel,
    LanguageModelFactory,
    Measurement,
    Objective,
    Probe,
    Reply,
    Request,
    Target,
    Task,
)
from ge_engine.genome import Genome, Seed
from ge_engine.hookspecs import hookimpl
from ge_engine.ledger import read_replies
from ge_engine.outcome import Failed, Outcome, Rejected, Scored
from ge_engine.patch import Patch, parse_patch
from ge_engine.registry import Registry, load_registry
from ge_plugins.replay import ReplayModel

SEED = b'''"""Three blocks with numbers to change."""

import torch
from torch import nn


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 16)

    def forward(self, x):
        return self.layer(x) * 3


class Net(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.small = Small()
        self.head = nn.Linear(16, num_classes)

    def forward(self, x):
        note = f"{x} %s {{}}"
        return self.head(self.small(x)) + 5


def get_optimizer(model, lr=0.1, weight_decay=0.0):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=90)
'''
STUCK = 600.0
"""Seconds for which a language model that is stuck says nothing."""
REPLACED = ("checks", "objectives", "tasks", "evaluators", "models", "grammars", "probe_checks")


def registry(*modules: str) -> Registry:
    """The built-in operators, personas and selectors with these doubles for everything else."""
    from importlib import metadata

    there = {entry.name for entry in metadata.entry_points(group="ge_engine")}
    return load_registry(["doubles", *modules], blocked=[name for name in REPLACED if name in there])


def config(**settings: Any) -> RunConfig:
    """Small, quick and with every operator; `settings` win."""
    base: dict[str, Any] = {
        "llm": "scripted:mixed",
        "evaluator": "instant",
        "operators": ["mutation", "mating", "eot"],
        "generations": 3,
        "population": 6,
        "elites": 6,
    }
    base |= {"checks": ("seen", "seen-function"), "rescore_seeds": 0}
    return config_from_dict({**base, **settings})


@cache
def seed() -> Seed:
    """One for all tests: nothing changes it, and reading it takes as long as a small run."""
    return Seed.from_bytes(SEED, Path("seed.py"))


class Observer:
    """Remembers every event."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    def __call__(self, name: str, data: Mapping[str, Any]) -> None:
        self.events.append((name, data))

    def of(self, name: str) -> list[Mapping[str, Any]]:
        return [data for event, data in self.events if event == name]


# --- language ---------------------------------------------------------------------------------


class Scripted(LanguageModel):
    """Changes one number of the last fenced code of the prompt, as the request's key says.

    `manner`: "mixed" (of ten replies one is broken, one unchanged), "good", "same" (always unchanged),
    "broken", "refuse" (an error reply each), "few" (three answers only), "stuck" (silent after the first),
    "shuffle" (mixed, in another order).
    """

    def __init__(self, manner: str, seconds: float) -> None:
        self.name = f"scripted:{manner}"
        self.manner = manner
        self.seconds = seconds
        self.asked: list[str] = []

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        order = list(range(len(requests)))
        if self.manner == "shuffle":
            random.Random(len(self.asked)).shuffle(order)
        for index in order:
            if self.manner == "stuck" and self.asked:
                time.sleep(STUCK)
            self.asked.append(requests[index].key)
            time.sleep(self.seconds)
            yield index, self._reply(requests[index])

    def _reply(self, request: Request) -> Reply:
        if self.manner == "refuse":
            return Reply("", "error", 0, 0, 0.0, self.name, "the scripted model refuses")
        asked = request.prompt.address or request.prompt.addresses
        text = self._text(request) if asked else "The smaller number helped."
        return Reply(text, "stop", len(request.prompt.user) // 4, len(text) // 4, self.seconds, self.name)

    def _text(self, request: Request) -> str:
        code = re.findall(r"```python\n(.*?)\n```", request.prompt.user, re.DOTALL)[-1]
        rng = random.Random(hashlib.sha256(f"{request.key}/{request.sampling.seed}".encode()).digest())
        kind = rng.randrange(10) if self.manner in ("mixed", "shuffle") else 9
        if self.manner == "same" or kind == 0:
            return code
        if self.manner == "broken" or kind == 1:
            return code.replace("(", "((", 1)
        numbers = list(re.finditer(r"\b\d+\b", code))
        if not numbers:
            return code
        spot = rng.choice(numbers)
        number = rng.choice((11, 12, 13)) if self.manner == "few" else rng.randint(1, 10**6)
        return f"{code[: spot.start()]}{number}{code[spot.end() :]}"

    def close(self) -> None:
        self.asked.append("closed")


class ScriptedFactory(LanguageModelFactory):
    """`scripted:MANNER[,SECONDS]`; the opened models are kept in `opened`."""

    name = "scripted"
    opens_elsewhere = True

    def __init__(self) -> None:
        self.opened: list[Scripted] = []

    def open(self, argument: str, config: RunConfig) -> LanguageModel:
        manner, _, seconds = (argument or "mixed").partition(",")
        self.opened.append(Scripted(manner, float(seconds or 0)))
        return self.opened[-1]


SCRIPTED = ScriptedFactory()


class Free(Constraint):
    def part(self, so_far: str) -> str | None:
        return None

    def whole(self) -> str:
        return "start: /(.|\\n)*/"


class Raw(Grammar):
    """The reply is the code."""

    def __init__(self, name: str) -> None:
        self.name = name

    def instructions(self, target: Target) -> str:
        return "Answer with code alone."

    def constraint(self, target: Target) -> Constraint | Rejected:
        return Free()

    def decode(self, reply: Reply, target: Target) -> Patch | Rejected:
        return parse_patch(target.genome, target.address, reply.text)

    def canonical(self, reply: Reply, target: Target) -> str:
        return hashlib.sha256(reply.text.encode()).hexdigest()[:16]


class Trusted(Raw):
    """Takes the reply as it stands, without reading it: for what costs the loop alone."""

    def decode(self, reply: Reply, target: Target) -> Patch | Rejected:
        return Patch(target.address, reply.text)


# --- evaluation ---------------------------------------------------------------------------------


def figures(genome: Genome) -> dict[str, float]:
    """Accuracy and parameters drawn from the digest."""
    value = int(genome.digest[:12], 16)
    return {"accuracy": (value % 9973) / 9973, "parameters": float(value // 9973 % 99991)}


class Instant(Evaluation):
    """Scores in the caller's thread. `probed` and `scored` list the digests that were asked for."""

    def __init__(self) -> None:
        self.probed: list[str] = []
        self.scored: list[str] = []

    def probe(self, genome: Genome) -> Future[Probe]:
        self.probed.append(genome.digest)
        return _done(_probe(genome))

    def submit(self, job: Job) -> Future[Outcome]:
        self.scored.append(f"{job.genome.digest}/{job.split}")
        return _done(_score(job))


class Threaded(Evaluation):
    """Probes and scores in threads, each after a time of its own, so that they end out of order."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(max(1, workers))

    def probe(self, genome: Genome) -> Future[Probe]:
        return self._pool.submit(_later, _probe, genome, genome.digest[:2])

    def submit(self, job: Job) -> Future[Outcome]:
        return self._pool.submit(_later, _score, job, job.genome.digest[2:4])

    def close(self) -> None:
        self._pool.shutdown()


class InstantEvaluator(Evaluator):
    name = "instant"

    def __init__(self) -> None:
        self.opened: list[Instant] = []

    @contextmanager
    def open(
        self,
        seed: Genome,
        config: RunConfig,
        objectives: Sequence[Objective],
        scratch: Path,
        tasks: Mapping[str, Task] | None = None,
    ) -> Iterator[Evaluation]:
        self.opened.append(self.made())
        yield self.opened[-1]

    def made(self) -> Instant:
        """A new evaluation."""
        return Instant()


INSTANT = InstantEvaluator()


class ThreadedEvaluator(Evaluator):
    name = "threaded"
    takes_epochs = True

    @contextmanager
    def open(
        self,
        seed: Genome,
        config: RunConfig,
        objectives: Sequence[Objective],
        scratch: Path,
        tasks: Mapping[str, Task] | None = None,
    ) -> Iterator[Evaluation]:
        evaluation = Threaded(config.workers)
        try:
            yield evaluation
        finally:
            evaluation.close()


def _done(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


def _later(work: Any, of: Any, delay: str) -> Any:
    time.sleep(int(delay, 16) / 256 / 100)
    return work(of)


def _probe(genome: Genome) -> Probe:
    return Probe(
        output_shape=(2, 10),
        facts={"parameters": figures(genome)["parameters"]},
        fingerprint=genome.digest[:24],
    )


def _score(job: Job) -> Outcome:
    if int(job.genome.digest[12:14], 16) < 16:
        return Failed("train", "not finite", "the loss is not finite")
    return Scored(figures(job.genome), {"curve": [0.5, 0.25]})


# --- the rest -----------------------------------------------------------------------------------


class Seen(Check):
    """Rejects a digest that the run has seen."""

    name = "seen"
    order = 90

    def check(self, candidate: Candidate) -> Rejected | None:
        twin = candidate.seen(candidate.genome.digest)
        return Rejected("seen", f"it is the same as {twin}") if twin else None


class SeenFunction(Check):
    """Rejects a function that the run has seen."""

    name = "seen-function"
    kind = "probe"
    order = 90

    def check(self, candidate: Candidate) -> Rejected | None:
        probe = candidate.probe
        twin = candidate.seen_function(probe.fingerprint) if probe else None
        return Rejected("seen-function", f"it computes the same as {twin}") if twin else None


class Named(Objective):
    def __init__(self, name: str, direction: Literal["min", "max"], form: str = "", unit: str = "") -> None:
        self.name = name
        self.direction = direction
        self.format, self.unit = form, unit

    def measure(self, measurement: Measurement) -> float:
        return float(measurement.facts[self.name])


class Replay(LanguageModelFactory):
    """The factory of `replay`, which `registry()` leaves out."""

    name = "replay"

    def open(self, argument: str, config: RunConfig) -> LanguageModel:
        return ReplayModel(self.name, read_replies(Path(argument)), Path(argument))


@hookimpl
def ge_language_models() -> list[LanguageModelFactory]:
    return [SCRIPTED]


@hookimpl
def ge_grammars() -> list[Grammar]:
    return [Raw("block"), Raw("edits"), Trusted("trusted")]


@hookimpl
def ge_evaluators() -> list[Evaluator]:
    return [INSTANT, ThreadedEvaluator()]


@hookimpl
def ge_checks() -> list[Check]:
    return [Seen(), SeenFunction()]


@hookimpl
def ge_objectives() -> list[Objective]:
    return [Named("accuracy", "max", ".2%"), Named("parameters", "min")]

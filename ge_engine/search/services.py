"""What all generations of a run work with, and how it is opened from the run's settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial

from ge_engine.blaming import blamed_executor, blamed_objective, blamed_tasks, blaming
from ge_engine.config import RunConfig
from ge_engine.contracts import AgentExecutor, Evaluation, ModuleProfile, Probe, inheriting
from ge_engine.events import Announcer
from ge_engine.genome import Genome
from ge_engine.grammar.reasoning_prefix import thinking
from ge_engine.ledger import Ledger
from ge_engine.ledger.hand_made import HandMade
from ge_engine.llm.machines import Machines
from ge_engine.population import Direction, Individual
from ge_engine.registry import Registry, choose
from ge_engine.search.check_pipeline import CheckPipeline
from ge_engine.search.event_loop import EventLoop
from ge_engine.search.models import Models
from ge_engine.search.resolution import chosen_objectives
from ge_engine.search.scoring import Scoring
from ge_engine.search.survey import Surveys
from ge_engine.search.termination import StopConditions
from ge_engine.search.variation import Variation

PROFILES = 64
"""Parents whose profiles are held, so that each draw does not read them anew."""


@dataclass(frozen=True)
class RunServices:
    """The same for every generation. `variations` are those of the islands, `prompt_tokens` the room of their
    prompts, `starts` the variants of the seed model that the first generation begins with."""

    ledger: Ledger
    variations: Sequence[Variation]
    checks: CheckPipeline
    scoring: Scoring
    models: Models
    prompt_tokens: Sequence[int]
    surveys: Surveys
    event_loop: EventLoop
    announce: Announcer
    termination: StopConditions
    starts: Sequence[HandMade] = ()


@contextmanager
def opened_evaluation(
    seed: Genome, config: RunConfig, registry: Registry, ledger: Ledger
) -> Iterator[Evaluation]:
    """The evaluator of the settings, opened for genomes of `seed`. Raises as `open`, or PluginError."""
    executor = choose(registry.executors, config.executor.partition(":")[0], "executor")
    evaluator = choose(registry.evaluators, config.evaluator, "evaluator")
    evaluator = evaluator.on(blamed_executor(executor, registry))
    objectives = [blamed_objective(one, registry) for one in chosen_objectives(config, registry).values()]
    scratch = ledger.folder / "scratch"
    scratch.mkdir(exist_ok=True)
    with ExitStack() as stack:
        with blaming(registry, "ge_evaluators", evaluator.name):
            opened = evaluator.open(seed, config, objectives, scratch, blamed_tasks(registry))
            evaluation = inheriting(Evaluation, stack.enter_context(opened))
        yield evaluation


def machines_of(
    config: RunConfig, registry: Registry, ledger: Ledger, interrupted: Callable[[], bool]
) -> Machines | None:
    """Where local language models decode; None for here. `interrupted`: whether no machine is waited for."""
    name, _, argument = config.executor_llm.partition(":")
    executor = blamed_executor(choose(registry.executors, name, "executor"), registry)
    if not isinstance(executor, AgentExecutor):
        return None
    return Machines(executor, argument, ledger.folder / "scratch" / "llm", interrupted)


def variations_of(
    config: RunConfig,
    registry: Registry,
    ledger: Ledger,
    seed: Individual,
    directions: Mapping[str, Direction],
    addresses: Callable[[Genome, Sequence[Genome]], tuple[str, ...]],
    task: str,
) -> list[Variation]:
    """One for each island: they differ in their personas. Raises ConfigError as `Variation`."""

    @lru_cache(maxsize=PROFILES)
    def profile(genome: Genome) -> tuple[ModuleProfile, ...]:
        probe = ledger.probe(genome.digest)
        return probe.modules if probe else ()

    return [
        Variation(
            config=config,
            seed=seed,
            operators=[choose(registry.operators, name, "operator") for name in config.operators],
            personas=[
                choose(registry.personas, name, "persona") for name in config.on_island(number).personas
            ],
            grammars=thinking(registry.grammars, config.think),
            directions=directions,
            addresses=addresses,
            blame=registry.blame,
            profile=profile,
            notations=ledger.notations,
            task=task,
        )
        for number in range(config.islands)
    ]


def checks_of(config: RunConfig, registry: Registry, ledger: Ledger, seed_probe: Probe) -> CheckPipeline:
    """The checks of the settings."""
    checks = [choose(registry.checks, name, "check") for name in config.checks]
    return CheckPipeline(checks, seed_probe, partial(registry.blame, "ge_checks"), ledger.probe)

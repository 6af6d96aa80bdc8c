"""The seed model is probed and scored before any prompt: a run begins from a file that works."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

from ge_engine.blaming import FIX, blaming
from ge_engine.contracts import Evaluation, Evaluator, Probe
from ge_engine.errors import PluginError, SeedError
from ge_engine.genome import Genome
from ge_engine.ledger import ChildRecord, Ledger
from ge_engine.outcome import Failed, Scored
from ge_engine.population import SEED_ID, Individual
from ge_engine.registry import Registry
from ge_engine.search.scoring import Scoring
from ge_engine.search.screen import require_proxies


def admitted_seed(
    genome: Genome,
    evaluator: Evaluator,
    registry: Registry,
    ledger: Ledger,
    evaluation: Evaluation,
    scoring: Scoring,
    meanwhile: Callable[[Probe], AbstractContextManager[None]],
) -> tuple[Individual, Probe]:
    """The seed model with its scores, and what a worker saw of it. `meanwhile` is entered when its training
    has begun, and left when that has ended.

    Raises:
        SeedError: it does not run or has no score, with its own error and the evaluator's advice; or nothing
            by which `screen` could choose.
        PluginError: the evaluator or an objective failed, and not the seed model.
    """
    seed = Individual(SEED_ID, 0, -1, (), (), genome)
    known = ledger.probe(genome.digest) if ledger.seed_is_scored and evaluation.runs_programs else None
    with blaming(registry, "ge_evaluators", evaluator.name):
        probe = evaluation.probe(genome).result()
    if probe.error:
        raise SeedError(
            f"The seed model does not run ({probe.stage}): {probe.error}", "Fix it; see also --entry."
        )
    if ledger.config.screen > 1:
        require_proxies(probe)
    ledger.record_children([ChildRecord(seed, probe.fingerprint, None)])
    ledger.add_probe(genome.digest, probe)
    scoring.score(SEED_ID, genome)
    with meanwhile(probe):
        scoring.drain()
    outcome = ledger.score(genome.digest)
    if not isinstance(outcome, Scored):
        reason = outcome.reason if outcome else "no score"
        if isinstance(outcome, Failed) and outcome.fault == "engine":
            raise PluginError(f"The seed model cannot be scored: {reason}.", FIX)
        raise SeedError(f"The seed model cannot be scored: {reason}", evaluator.advice)
    if evaluation.runs_programs:
        probe = known or evaluation.probe(genome).result()
        ledger.add_probe(genome.digest, probe)
    return replace(seed, outcome=outcome), probe

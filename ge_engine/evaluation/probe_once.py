"""Runs one genome once in the isolated worker, for commands that show what it is made of."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.contracts import Probe
from ge_engine.errors import SeedError
from ge_engine.genome import Genome
from ge_engine.registry import Registry, choose


def probe_genome(genome: Genome, config: RunConfig, registry: Registry) -> Probe | SeedError:
    """Build the model and run one training step; the SeedError where it does not run is returned.

    Raises:
        ConfigError: the task or the evaluator is not there.
    """
    evaluator = choose(registry.evaluators, config.evaluator, "evaluator")
    with tempfile.TemporaryDirectory(prefix="ge-probe-") as scratch:
        try:
            with evaluator.open(genome, config, [], Path(scratch), registry.tasks) as evaluation:
                return evaluation.probe(genome).result()
        except SeedError as error:
            return error

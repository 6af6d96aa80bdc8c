"""A model looked at without a run of its own: its blocks, what building it shows, and what changed in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from ge_engine.changes import diff_genomes
from ge_engine.config import Settings, load_config
from ge_engine.contracts import Probe
from ge_engine.errors import ConfigError, SeedError
from ge_engine.evaluation.probe_once import probe_genome
from ge_engine.genome import Genome, Seed
from ge_engine.population import Child, Individual
from ge_engine.registry import load_registry, trains
from ge_engine.runs import Blocks, Changes
from ge_engine.runs.references import Side as Reference
from ge_engine.runs.references import load_side, require_genome, sides_of
from ge_engine.seed_files import load_seed
from ge_engine.source.language import PYTHON
from ge_engine.source.selection import select_addresses

Side = str | Path | Seed | Genome | Individual


def seed_model(path: str | Path, *, entry: str = "", also: Sequence[str] = (), package: bool = False) -> Seed:
    """A seed model to look at, of the files that `ge evolve` would take: for `blocks`, `probe` and `diff`.

    Raises:
        SeedError: a file is not there or cannot be read, or a folder without the module in `entry`.
    """
    return load_seed(path, entry, also, package=package)


def blocks(seed: Side, patterns: str | Iterable[str] = ()) -> Blocks:
    """The blocks of a file by address, those that match `patterns` alone, as `ge blocks --static` lists them.

    Patterns are globs and "!" excludes; a pattern chooses among blocks that can be evolved.

    Raises:
        SeedError: the file cannot be read. ConfigError: a pattern that matches nothing.
    """
    genome = _genome(seed)
    wanted = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    chosen = select_addresses(genome, wanted) if wanted else tuple(genome.blocks)
    return Blocks({address: genome.blocks[address] for address in chosen})


def probe(
    seed: Side,
    *,
    plugins: Iterable[str] = (),
    no_plugins: Iterable[str] = (),
    **settings: Unpack[Settings],
) -> Probe:
    """Build a model and run one step of its training in an isolated process: which blocks ran, shapes,
    parameters and FLOPs.

    Raises:
        SeedError: the model does not build or run. ConfigError: a setting or name that is wrong.
    """
    made = load_config("demo", None, settings)
    found = probe_genome(_genome(seed), made, load_registry(plugins, no_plugins))
    if isinstance(found, SeedError):
        raise found
    return found


def diff(a: Side, b: Side | None = None) -> Changes:
    """What changed from `a` to `b`, block by block, as `ge diff` shows it.

    A side is a file, "RUN:ID", a seed model, a genome or an individual. A lone "RUN:ID" is compared with its
    seed model.

    Raises:
        SeedError, LedgerError, ConfigError: a side that is not there or has no code.
    """
    if b is not None:
        return Changes(diff_genomes(_genome(a), _genome(b)))
    if not isinstance(a, (str, Path)):
        raise ConfigError("There is nothing to compare with.", "Give a second side, or RUN:ID alone.")
    before, after = sides_of(str(a), None)
    return Changes(diff_genomes(before.genome, after.genome))


def class_parameters(
    side: Reference, *, plugins: Iterable[str] = (), no_plugins: Iterable[str] = ()
) -> Mapping[str, int]:
    """How many parameters the modules of each class hold, counted in an isolated process. The settings of an
    individual's run say what is built; nothing that its folder names is started.

    Raises:
        SeedError: the model does not build or run, or something else than the built-in training scores its
            run.
    """
    registry = load_registry(plugins, no_plugins)
    if side.genome.seed.language is not PYTHON:
        return {}
    if not trains(registry, side.config):
        by = side.config.evaluator_argument or side.config.evaluator
        raise SeedError(f"its run is scored by {by!r}, which is not started for this")
    config = replace(side.config, sandbox="auto", start_method="auto", processes_per_candidate=1)
    found = probe_genome(side.genome, config, registry)
    if isinstance(found, SeedError):
        raise found
    return found.class_parameters


def _genome(side: Side) -> Genome:
    if isinstance(side, Genome):
        return side
    if isinstance(side, Seed):
        return side.genome
    if isinstance(side, Child):
        return require_genome(side)
    return load_side(str(side)).genome

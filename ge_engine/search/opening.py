"""Open a run's folder: a new run, or one that goes on with the same seed and settings."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from ge_engine.config import RunConfig, config_to_dict
from ge_engine.errors import ConfigError, LedgerError, SeedError
from ge_engine.genome import Seed
from ge_engine.ledger import History, Ledger, exists
from ge_engine.population import Direction
from ge_engine.registry import Registry
from ge_engine.search.models import check_models

# What a later session of a run may change: how much and how fast, never what is compared.
CHANGEABLE = frozenset(
    {
        "generations",
        "workers",
        "memory_gib",
        "sandbox",
        "start_method",
        "llm",
        "max_evaluations",
        "max_seconds",
        "token_budget",
        "cost_budget",
        "price_in",
        "price_out",
        "stop_when",
        "stall",
        "rescore_seeds",
        "trackers",
    }
)


@contextmanager
def opened_run(
    folder: Path, seed: Seed, config: RunConfig, registry: Registry, directions: Mapping[str, Direction]
) -> Iterator[Ledger]:
    """The run's ledger, with this session's seed: a path that the ledger names opens no folder. Where no seed
    was trained yet, the language models are checked before one is, and before a new run leaves anything on
    the disk. A folder that was made here for a seed that is then refused goes again.

    Raises:
        ConfigError: the run has other settings.
        LedgerError: the run has another seed, or its folder or database cannot be used.
        ModelError: a language model that can be checked will not do.
    """
    fresh, made = not exists(folder), not folder.exists()
    if fresh:
        check_models(config, registry)
    with (
        _gone_when_refused(folder) if made else nullcontext(),
        Ledger.create(folder, seed, config) if fresh else Ledger.open(folder) as ledger,
    ):
        if not ledger.seed_is_scored:
            if not fresh:
                check_models(config, registry)
            ledger.begin_anew(seed, config)
        if ledger.seed.source != seed.source:
            raise LedgerError(
                f"The run {folder} was made from another seed ({ledger.seed.path or 'unnamed'}), "
                f"not from {seed.path or 'this one'} as it is now.",
                "Give that seed, or choose another folder with --run.",
            )
        ledger.seed = seed
        before, now = _compared(ledger.config), _compared(config)
        changed = [key for key in now if now[key] != before[key]]
        if changed:
            key = changed[0]
            raise ConfigError(
                f"The run {folder} was made with {key} = {before[key]!r}; it cannot go on with {now[key]!r}.",
                f"Take the old setting, or another folder with --run. Differing: {', '.join(changed)}.",
            )
        ledger.set_config(config, directions)
        yield ledger


@contextmanager
def _gone_when_refused(folder: Path) -> Iterator[None]:
    try:
        yield
    except (ConfigError, SeedError):
        with History(folder) as history:
            scored = history.seed_is_scored
        if not scored:
            shutil.rmtree(folder)
        raise


def _compared(config: RunConfig) -> dict[str, object]:
    """What must stay as it is; of an island, all but its language models."""
    plain = replace(config, island=tuple(replace(one, llm=()) for one in config.island))
    values = {key: value for key, value in config_to_dict(plain).items() if key not in CHANGEABLE}
    recipe = values.pop("recipe")
    return {**values, **{f"recipe.{key}": value for key, value in recipe.items()}}

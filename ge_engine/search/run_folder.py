"""Open a run's folder: a new run, or one that is resumed with the same seed model and settings."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from ge_engine.atomic_file import write_whole
from ge_engine.config import RunConfig, changeable, flat_settings, settings, toml_of, unused_settings
from ge_engine.errors import ConfigError, LedgerError, PluginError, SeedError
from ge_engine.evaluation.sandbox.removal import remove_tree
from ge_engine.genome import Seed
from ge_engine.ledger import History, Ledger, exists
from ge_engine.ledger.parts import parts_of
from ge_engine.ledger.versions import Making, differences, made_with, sentence
from ge_engine.notation import Notations
from ge_engine.population import Direction
from ge_engine.registry import Registry
from ge_engine.search.models import check_models

SETTINGS = "settings.toml"
"""The file in a run's folder that tells its settings; the engine reads those of the run database."""


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """A run's database, and in words the versions and checks that changed since the last session ("" where
    none did)."""

    ledger: Ledger
    differences: str


@contextmanager
def opened_run(
    folder: Path,
    seed: Seed,
    config: RunConfig,
    registry: Registry,
    directions: Mapping[str, Direction],
    notations: Notations,
    allow_changes: bool,
) -> Iterator[OpenedRun]:
    """The run's database, with this session's seed model: a path that the run database names opens no folder.
    Where no seed model was trained yet, the language models are checked before one is, and before a new run
    leaves anything on the disk. A folder that was made here for a seed model that is then refused goes again.
    A run database of an older version is brought up to date once the run may go on.

    Raises:
        ConfigError: the run has other settings; or it was made with other versions or checks, by which its
            results could change, without `allow_changes`.
        LedgerError: the run has another seed model, or its folder or database cannot be used.
        ModelError: a language model that can be checked will not do.
    """
    fresh, made = not exists(folder), not folder.exists()
    making = made_with(registry, config)
    if fresh:
        check_models(config, registry)
    else:
        with History(folder) as history:
            _require_same(history, seed, config, making, allow_changes)
    with (
        _gone_when_refused(folder) if made else nullcontext(),
        Ledger.create(folder, seed, config) if fresh else Ledger.open(folder) as ledger,
    ):
        differences = _require_same(ledger, seed, config, making, allow_changes)
        if not ledger.seed_is_scored:
            if not fresh:
                check_models(config, registry)
            ledger.begin_anew(seed, config)
        ledger.seed = seed
        ledger.set_config(config, directions, notations)
        ledger.begin_part(making)
        _write_settings(folder, seed, config)
        yield OpenedRun(ledger, differences)


def _require_same(
    history: History, seed: Seed, config: RunConfig, making: Making, allow_changes: bool
) -> str:
    """Refuse what a run cannot be resumed with; in words what changes. A run without a scored seed model
    starts over."""
    if not history.seed_is_scored:
        return ""
    if history.seed.sources != seed.sources:
        raise LedgerError(
            f"The run {history.folder} was made from another seed model ({history.seed.path or 'unnamed'}), "
            f"not from {seed.path or 'this one'} as it is now.",
            "Give that file, or choose another folder with --run.",
        )
    before, now = _compared(history.config), _compared(config)
    changed = [key for key in now if now[key] != before[key] and (key != "ties" or history.ties_matter)]
    if changed:
        key = changed[0]
        raise ConfigError(
            f"The run {history.folder} was made with {key} = {before[key]!r}; "
            f"it cannot be resumed with {now[key]!r}.",
            f"Take the old setting, or another folder with --run. Differing: {', '.join(changed)}.",
        )
    return _differences_in_words(history, making, allow_changes)


def _differences_in_words(history: History, making: Making, allow_changes: bool) -> str:
    parts = parts_of(history)
    found = list(differences(parts[-1].making, making)) if parts else []
    graver = [one for one in found if one.matters]
    if graver and not allow_changes:
        raise ConfigError(
            f"The run {history.folder} was made with {', '.join(one.was for one in graver)}; resuming with "
            f"{', '.join(one.now for one in graver)} can change its results.",
            "Put back what it was made with, or resume all the same with --allow-changes "
            "(allow_changes=True from Python).",
        )
    return sentence(found) if found else ""


def _write_settings(folder: Path, seed: Seed, config: RunConfig) -> None:
    path = folder / SETTINGS
    command = shlex.join(["ge", "evolve", str(seed.path or "FILE"), "--config", str(path)])
    head = f"# The settings of the latest session: {command}\n\n"
    in_force = settings().keys() - unused_settings(config)
    hint = "Make room there, or choose another folder with --run."
    write_whole(path, (head + toml_of(config, in_force)).encode(), hint)


@contextmanager
def _gone_when_refused(folder: Path) -> Iterator[None]:
    try:
        yield
    except (ConfigError, SeedError, PluginError):
        with History(folder) as history:
            scored = history.seed_is_scored
        if not scored:
            remove_tree(folder)
        raise


def _compared(config: RunConfig) -> dict[str, object]:
    """What must stay as it is; of an island, all but its language models."""
    plain = replace(config, island=tuple(replace(one, llm=()) for one in config.island))
    may_change = changeable()
    return {key: value for key, value in flat_settings(plain).items() if key not in may_change}

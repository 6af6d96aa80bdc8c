"""The engine from Python: `from ge_engine import evolve, diff, blocks`.

    run = evolve("model.py", llm="uniform", generations=3, training={"epochs": 1})
    for one in run.front:
        print(one.id, dict(one.objectives))
    print(run.diff(run.front[-1].id))

The command line is a view of this: `ge evolve` calls `evolve`. Whatever comes back prints as text and shows
itself in a notebook: changes as coloured lines, a run as its Pareto front.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from ge_engine.ablation import ARMS, Arm, too_few
from ge_engine.ablation import ablate as run_arms
from ge_engine.config import IslandSettings, RecipeSettings, RunConfig, Settings, load_config
from ge_engine.config.scoring_function import refuse_while_loading
from ge_engine.entry_block import with_entry_block
from ge_engine.errors import ConfigError
from ge_engine.events import Observe
from ge_engine.genome import Block, Seed
from ge_engine.inspection import blocks, class_parameters, diff, probe, seed_model
from ge_engine.installation import findings, machines
from ge_engine.ledger.history import History
from ge_engine.ledger.listing import Listed
from ge_engine.ledger.readditions import ALL, Readditions
from ge_engine.ledger.records import Call
from ge_engine.ledger.replicates import Replicates, Spread
from ge_engine.loop import run as run_engine
from ge_engine.registry import REGISTERING, Origin, Registry, in_use, load_registry, trains
from ge_engine.runs import Blocks, Changes, Run, TrainedModel
from ge_engine.runs.comparison import Comparison, compared
from ge_engine.runs.resuming import resumed_run
from ge_engine.runs.settings_file import write_settings
from ge_engine.scaffold import write_plugin
from ge_engine.seed_files import load_seed
from ge_engine.views.display import open_display

__all__ = [
    "ALL",
    "ARMS",
    "Arm",
    "Block",
    "Blocks",
    "Call",
    "Changes",
    "Comparison",
    "IslandSettings",
    "Listed",
    "Plugins",
    "Readditions",
    "RecipeSettings",
    "Replicates",
    "Run",
    "Settings",
    "Spread",
    "TrainedModel",
    "ablate",
    "blocks",
    "class_parameters",
    "compare",
    "comparison_page",
    "diff",
    "evolve",
    "findings",
    "machines",
    "new_folder",
    "new_plugin",
    "open_run",
    "plugins",
    "probe",
    "resume",
    "seed_model",
    "settings_file",
    "shown",
    "too_few",
]


def evolve(
    seed: str | Path,
    /,
    *,
    run: str | Path | None = None,
    preset: str = "demo",
    config: str | Path | None = None,
    plugins: Iterable[str] = (),
    no_plugins: Iterable[str] = (),
    observe: Observe | None = None,
    allow_changes: bool = False,
    **settings: Unpack[Settings],
) -> Run:
    """Evolve a model file, as `ge evolve` does, and return the run.

    Args:
        seed: the PyTorch file of the seed model, or the folder of its package, with the module in `entry`.
        run: the run's folder; an existing run is resumed. Without one, a new folder under runs/.
        preset: the settings to begin with, "demo" or "paper".
        config: a TOML file, whose settings win over the preset's.
        plugins: modules to load as plugins besides the installed ones.
        no_plugins: plugins to leave out.
        observe: is told every event (`ge_engine.events`) in place of the progress display, which is one
            display that changes in place in a notebook, a live panel on a terminal, lines elsewhere.
        allow_changes: resume an existing run also where other versions or checks than it was made with
            could change its results.
        **settings: fields of `ge_engine.config.RunConfig`, which win over `config`. `evaluator` may be a
            function of the path and the budget, at the top level of a file.

    Raises:
        ConfigError, SeedError, PluginError, LedgerError, ModelError: a mistake that the message explains.
    """
    refuse_while_loading()
    made = _of_folder(seed, load_config(preset, Path(config) if config else None, settings))
    registry = load_registry(plugins, no_plugins)
    folder = Path(run) if run else new_folder(seed)
    if folder.is_file():
        raise ConfigError(f"{folder} is a file.", "Name a folder with --run (run= from Python).")
    return _carried_out(_seed_of(seed, made), made, registry, folder, observe, allow_changes)


def resume(
    run: str | Path,
    /,
    *,
    plugins: Iterable[str] = (),
    no_plugins: Iterable[str] = (),
    observe: Observe | None = None,
    allow_changes: bool = False,
    **settings: Unpack[Settings],
) -> Run:
    """Resume a run, as `ge resume` does, with the seed model and the settings that its folder holds.

    Args:
        run: the run's folder.
        plugins, no_plugins, observe, allow_changes: as `evolve`.
        **settings: what changes, of the settings that a later session may change; and the evaluator and
            language model of the run where these are more than names, for what a run's folder names is
            neither started nor reached by itself.

    Raises:
        ConfigError, SeedError, PluginError, LedgerError, ModelError: a mistake that the message explains.
    """
    folder, registry = Path(run), load_registry(plugins, no_plugins)
    seed, made = resumed_run(folder, settings, registry)
    return _carried_out(seed, made, registry, folder, observe, allow_changes)


def _carried_out(
    seed: Seed,
    made: RunConfig,
    registry: Registry,
    folder: Path,
    observe: Observe | None,
    allow_changes: bool,
) -> Run:
    with _observed(folder, made, trains(registry, made), observe) as told:
        run_engine(seed, made, registry, folder, told, allow_changes=allow_changes)
    return Run(folder)


def compare(*runs: str | Path) -> Comparison:
    """Runs side by side, as `ge compare` shows them: one front of all, and hypervolumes within one box.

    Raises:
        LedgerError: a folder without a run. ConfigError: runs of other objectives, or one without a score.
    """
    return compared([Path(run) for run in runs])


def comparison_page(found: Comparison, output: str | Path) -> Path:
    """Write what `compare` found as one HTML page, as `ge compare --html` does: fronts, hypervolumes,
    verdicts and settings; its file.

    Raises:
        ConfigError: a file that cannot be written. LedgerError: a run that is gone.
    """
    from ge_engine.runs.comparison_page import write_comparison  # plotly is slow to import

    return write_comparison(found, Path(output))


def settings_file(
    seed: str | Path,
    output: str | Path,
    *,
    preset: str = "demo",
    config: str | Path | None = None,
    force: bool = False,
    **settings: Unpack[Settings],
) -> Path:
    """Write the settings of a run of `seed` as commented TOML, as `ge init` does: everyday ones and those
    that are not at their defaults in force, the others as comments.

    Raises:
        SeedError: no model file. ConfigError: a setting that is wrong, or a file that exists (`force`
            overwrites it).
    """
    made = _of_folder(seed, load_config(preset, Path(config) if config else None, settings))
    return write_settings(_seed_of(seed, replace(made, entry_block=False)), made, Path(output), force=force)


def new_folder(seed: str | Path) -> Path:
    """The folder of a new run that is given none."""
    return Path("runs") / f"{Path(seed).absolute().stem}-{time.strftime('%Y%m%d-%H%M%S')}"


def open_run(folder: str | Path) -> Run:
    """An existing run. Raises LedgerError when there is none."""
    with History(Path(folder)):
        return Run(Path(folder))


def ablate(
    seed: str | Path,
    folder: str | Path,
    arms: Sequence[str] = ("full", "no-eot", "uniform"),
    repeats: int = 3,
    *,
    preset: str = "demo",
    config: str | Path | None = None,
    plugins: Iterable[str] = (),
    no_plugins: Iterable[str] = (),
    observe: Callable[[str, int, str, Mapping[str, Any]], None] = lambda *_: None,
    allow_changes: bool = False,
    **settings: Unpack[Settings],
) -> list[Arm]:
    """Run arms of the method under equal budgets, as `ge ablate` does: each `repeats` times, in folders in
    `folder`. `observe` gets the arm, the repeat and the run's event.

    Raises:
        ConfigError, SeedError, PluginError, LedgerError, ModelError: a mistake that the message explains.
    """
    made = _of_folder(seed, load_config(preset, Path(config) if config else None, settings))
    registry = load_registry(plugins, no_plugins)
    parsed = _seed_of(seed, made)
    return run_arms(parsed, made, registry, Path(folder), arms, repeats, observe, allow_changes=allow_changes)


@dataclass(frozen=True, slots=True)
class Plugins:
    """The plugins at hand. `owners` are their names by (hook, name of what they bring), in the order of the
    hooks; `used` is what a run would use of these."""

    origins: Sequence[Origin]
    owners: Mapping[tuple[str, str], str]
    used: frozenset[tuple[str, str]]


def plugins(
    plugins: Iterable[str] = (),
    no_plugins: Iterable[str] = (),
    *,
    preset: str = "demo",
    config: str | Path | None = None,
) -> Plugins:
    """What is installed, and what a run of these settings would use. Raises PluginError, ConfigError."""
    registry = load_registry(plugins, no_plugins)
    made = load_config(preset, Path(config) if config else None, {})
    ordered = sorted(registry.owners, key=lambda pair: (REGISTERING.index(pair[0]), pair[1]))
    owners = {pair: registry.owners[pair] for pair in ordered}
    return Plugins(registry.origins, owners, in_use(registry, made))


def new_plugin(name: str, output: str | Path = ".") -> Path:
    """Write a new plugin's package into `output`, as `ge plugin new` does; its folder. Raises ConfigError."""
    return write_plugin(name, Path(output), load_registry())


@contextmanager
def shown(run: Run, plugins: Iterable[str] = (), no_plugins: Iterable[str] = ()) -> Iterator[Observe]:
    """What shows events of a run within the block, as `evolve` does where nobody observes it."""
    by_training = trains(load_registry(plugins, no_plugins), run.config)
    with _observed(run.folder, run.config, by_training, None) as told:
        yield told


@contextmanager
def _observed(
    folder: Path, config: RunConfig, by_training: bool, observe: Observe | None
) -> Iterator[Observe]:
    """`observe`, or what shows the run where nobody observes it."""
    if observe is not None:
        yield observe
        return
    with open_display(folder, config, by_training) as view:
        yield view.observe


def _of_folder(path: str | Path, made: RunConfig) -> RunConfig:
    """The settings, which say of a folder that all of the package is evolved."""
    return replace(made, package=True) if Path(path).is_dir() else made


def _seed_of(path: str | Path, made: RunConfig) -> Seed:
    seed = load_seed(path, made.entry, made.also, package=made.package)
    return with_entry_block(seed, made.entry) if made.entry_block else seed

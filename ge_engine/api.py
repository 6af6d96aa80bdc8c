"""The engine from Python: `from ge_engine import evolve, diff, blocks`.

The same power as the command line, for scripts and notebooks. Mistakes raise a `GeError` whose message says
what to do; what a run found is a `Run`, which reads the run's folder and shows its Pareto front.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

from ge_engine.changes import Change, diff_genomes, unified
from ge_engine.cli import markup
from ge_engine.cli.export import with_header, write_whole
from ge_engine.cli.notebook import in_notebook, open_notebook
from ge_engine.cli.outcomes import number
from ge_engine.cli.refs import find_individual, load_side, require_genome
from ge_engine.cli.view import open_view
from ge_engine.config import load_config
from ge_engine.errors import ConfigError, GeError
from ge_engine.events import Observe
from ge_engine.genome import Block, Genome, Seed, select_addresses
from ge_engine.loop import rescore as rescore_run
from ge_engine.loop import run as run_engine
from ge_engine.pareto import Direction, pareto_front
from ge_engine.population import SEED_ID, Child, Individual, individuals_of
from ge_engine.registry import load_registry
from ge_engine.search.rescoring import OwnSettings
from ge_engine.store.history import History
from ge_engine.store.replicates import Replicates, spreads


class RecipeSettings(TypedDict, total=False):
    """How a candidate is trained: the fields of `ge_engine.config.Recipe`."""

    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    weight_decay: float
    schedule: str
    augment: bool
    jitter: float
    label_smoothing: float
    image_size: int
    precision: str
    train_limit: int
    channels: int
    validation_share: float
    norm_batches: int
    ema: float


class IslandSettings(TypedDict, total=False):
    """What one population of several has of its own: the fields of `ge_engine.config.Island`."""

    llm: str | Sequence[str]
    personas: str | Sequence[str]


class Settings(TypedDict, total=False):
    """What a run is made with: the fields of `ge_engine.config.RunConfig`."""

    task: str
    skip_broken: bool
    llm: str | Sequence[str]
    evaluator: str
    evaluator_argument: str
    objectives: str | Sequence[str]
    constraints: str | Sequence[str]
    generations: int
    population: int
    elites: int
    eot_elites: int
    p_mating: float
    p_mutation: float
    p_eot: float
    random_seed: int
    workers: int
    threads: int
    processes_per_candidate: int
    gpus_per_candidate: int
    timeout: float
    memory_gib: float
    sandbox: str
    start_method: str
    entry: str
    blocks: str | Sequence[str]
    dead_blocks: bool
    operators: str | Sequence[str]
    personas: str | Sequence[str]
    checks: str | Sequence[str]
    parent_selector: str
    elite_selector: str
    grammar: str
    temperature: tuple[float, float]
    max_tokens: tuple[int, int]
    repairs: int
    repair_texts: bool
    max_evaluations: int
    max_seconds: float
    token_budget: int
    cost_budget: float
    price_in: float
    price_out: float
    stop_when: str
    stall: int
    schedule: str
    max_slowdown: float
    halving: bool
    halving_rate: int
    rescore_seeds: int
    adaptive: bool
    trackers: Sequence[str]
    islands: int
    migrate_every: int
    migrants: int
    island: Sequence[IslandSettings]
    thought_tokens: int
    think: int
    recipe: RecipeSettings


Side = str | Path | Seed | Genome | Child


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
        seed: the PyTorch model file.
        run: the run's folder; an existing run goes on. Without one, a new folder under runs/.
        preset: the settings to begin with, "demo" or "paper".
        config: a TOML file, whose settings win over the preset's.
        plugins: modules to load as plugins besides the installed ones.
        no_plugins: plugins to leave out.
        observe: is told every event (`ge_engine.events`) in place of the progress display, which is one
            display that changes in place in a notebook, a live panel on a terminal, lines elsewhere.
        allow_changes: go on with an existing run also where other versions or checks than it was made with
            could change its results.
        **settings: fields of `ge_engine.config.RunConfig`, which win over `config`.

    Raises:
        ConfigError, SeedError, PluginError, LedgerError, ModelError: a mistake that the message explains.
    """
    made = load_config(preset, Path(config) if config else None, _flags(settings))
    registry = load_registry(plugins, no_plugins)
    folder = Path(run) if run else Path("runs") / f"{Path(seed).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    if folder.is_file():
        raise ConfigError(f"{folder} is a file.", "Name a folder with run=.")
    if observe is not None:
        run_engine(Seed.load(seed), made, registry, folder, observe, allow_changes=allow_changes)
    else:
        with (open_notebook if in_notebook() else open_view)(folder, made) as view:
            run_engine(Seed.load(seed), made, registry, folder, view.observe, allow_changes=allow_changes)
    return Run(folder)


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


def diff(a: Side, b: Side | None = None) -> Changes:
    """What changed from `a` to `b`, block by block, as `ge diff` shows it.

    A side is a file, "RUN:ID", a seed, a genome or an individual. A lone "RUN:ID" is compared with its seed.

    Raises:
        SeedError, LedgerError, ConfigError: a side that is not there or has no code.
    """
    if b is not None:
        return Changes(diff_genomes(_genome(a), _genome(b)))
    folder, colon, identity = str(a).rpartition(":")
    if not isinstance(a, (str, Path)) or not colon:
        raise ConfigError("There is nothing to compare with.", "Give a second side, or RUN:ID alone.")
    return Run(Path(folder)).diff(identity)


class Blocks(dict[str, Block]):
    """Blocks by address; a table in a notebook."""

    def __init__(self, blocks: Mapping[str, Block]) -> None:
        super().__init__(blocks)

    def _repr_html_(self) -> str:
        rows = [
            [address, one.kind, f"{one.lines[0]}-{one.lines[1]}", one.reason or "can be evolved"]
            for address, one in self.items()
        ]
        return markup.table(f"{len(rows)} blocks", ("address", "kind", "lines", ""), rows)


@dataclass(frozen=True, slots=True, repr=False)
class Changes(Sequence[Change]):
    """Block-level changes; shown as a unified diff, coloured in a notebook."""

    changes: tuple[Change, ...]

    @overload
    def __getitem__(self, index: int) -> Change: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Change, ...]: ...
    def __getitem__(self, index: int | slice) -> Change | tuple[Change, ...]:
        return self.changes[index]

    def __len__(self) -> int:
        return len(self.changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __str__(self) -> str:
        return "\n".join(line for change in self.changes for line in unified(change))

    def __repr__(self) -> str:
        kinds = ", ".join(f"{change.kind} {change.address}" for change in self.changes)
        return f"<Changes: {kinds or 'none'}>" + (f"\n{self}" if self.changes else "")

    def _repr_html_(self) -> str:
        return markup.differences(self.changes)


@dataclass(frozen=True, slots=True, repr=False)
class Run:
    """A run's folder, read anew at every question, so that it also serves while the run goes on.

    Raises LedgerError where the folder holds no run.
    """

    folder: Path

    @property
    def seed(self) -> Individual:
        return individuals_of([self.individual(SEED_ID)])[0]

    @property
    def individuals(self) -> list[Child]:
        """All, those without a genome among them, seed first, in the order of generation and slot."""
        with History(self.folder) as history:
            return list(history.individuals())

    @property
    def front(self) -> list[Individual]:
        """The Pareto front of everything scored."""
        return pareto_front(individuals_of(self.individuals), self.directions)

    @property
    def directions(self) -> dict[str, Direction]:
        """The objectives, "min" or "max"."""
        with History(self.folder) as history:
            return history.directions

    @property
    def rejections(self) -> dict[str, int]:
        """How many children each rung of the ladder rejected, most first."""
        with History(self.folder) as history:
            return history.rejections()

    @property
    def stopped_because(self) -> str:
        """Why the latest session ended; "" while it goes on."""
        with History(self.folder) as history:
            return history.stopped_because

    def individual(self, identity: str) -> Child:
        """Raises ConfigError when the run has no such individual."""
        with History(self.folder) as history:
            return find_individual(history, identity)

    @property
    def rescored(self) -> dict[str, Replicates]:
        """What further seeds gave of each finalist, the seed model first; empty without `rescore_seeds`."""
        with History(self.folder) as history:
            return spreads(history)

    def rescore(
        self,
        seeds: int = 3,
        observe: Observe | None = None,
        evaluator: str = "train",
        evaluator_argument: str = "",
        sandbox: str = "auto",
        *,
        allow_changes: bool = False,
    ) -> dict[str, Replicates]:
        """Train the finalists of a run that has ended with further seeds, as `ge rescore` does. The evaluator
        has to be that of the run: what the folder names is not started by itself.

        Raises:
            ConfigError: the run goes on, or was cut off, or has another evaluator; or other versions or
                checks than it was made with could change its results (`allow_changes` goes on all the same).
        """
        own = OwnSettings(evaluator, evaluator_argument, sandbox)
        told = observe or (lambda *_: None)
        rescore_run(self.folder, seeds, load_registry(), told, own, allow_changes=allow_changes)
        return self.rescored

    def diff(self, identity: str, against: str = "seed") -> Changes:
        """What changed from one individual, by default the seed, to another."""
        sides = [require_genome(self.individual(name)) for name in (against, identity)]
        return Changes(diff_genomes(*sides))

    def export(self, identity: str, output: str | Path, *, force: bool = False) -> Path:
        """Write an individual as an ordinary Python file whose head says where it came from.

        Raises:
            ConfigError: no such individual or no code, or a file that exists (`force` overwrites it).
        """
        path = Path(output)
        if path.exists() and not force:
            raise ConfigError(f"The file {path} exists.", "Choose another name, or overwrite it with force.")
        with History(self.folder) as history:
            one = find_individual(history, identity)
            source = with_header(require_genome(one).source, one, history)
        write_whole(path, source)
        return path

    def __str__(self) -> str:
        rows = [["id", *self.directions], *self._rows()]
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        lines = ["  ".join(map(str.rjust, row, widths)) for row in rows]
        return "\n".join([f"run {self.folder}, Pareto front:", *lines])

    def __repr__(self) -> str:
        """The front as a table; of a folder that cannot be read, why."""
        try:
            return f"<{self}>"
        except GeError as error:
            return f"<run {self.folder}: {error.message}>"

    def _repr_html_(self) -> str:
        return markup.table(f"Pareto front of {self.folder}", ("id", *self.directions), self._rows())

    def _rows(self) -> list[list[str]]:
        names = list(self.directions)
        return [[one.id, *(number(name, one.objectives[name]) for name in names)] for one in self.front]


def open_run(folder: str | Path) -> Run:
    """An existing run. Raises LedgerError when there is none."""
    with History(Path(folder)):
        return Run(Path(folder))


def _genome(side: Side) -> Genome:
    if isinstance(side, Genome):
        return side
    if isinstance(side, Seed):
        return side.genome
    if isinstance(side, Child):
        return require_genome(side)
    return load_side(str(side)).genome


def _flags(settings: Settings) -> dict[str, Any]:
    """Settings as `load_config` takes them: the recipe's with a prefix."""
    flags: dict[str, Any] = {name: value for name, value in settings.items() if name != "recipe"}
    recipe = settings.get("recipe", {})
    return flags | {f"recipe.{name}": value for name, value in recipe.items()}

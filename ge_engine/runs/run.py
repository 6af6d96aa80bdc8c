"""What the engine gives back from Python: a run, changes and blocks, each a table in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from ge_engine.atomic_file import write_whole
from ge_engine.changes import Change, diff_genomes, unified
from ge_engine.config import RunConfig
from ge_engine.errors import ConfigError, GeError
from ge_engine.events import Observe
from ge_engine.genome import Block
from ge_engine.ledger.history import History
from ge_engine.ledger.replicates import Replicates, spreads
from ge_engine.loop import rescore as rescore_run
from ge_engine.notation import Notation
from ge_engine.pareto import Direction, pareto_front
from ge_engine.population import SEED_ID, Child, Individual, with_genome
from ge_engine.registry import load_registry
from ge_engine.runs.adding import add
from ge_engine.runs.audit import check
from ge_engine.runs.export import with_header
from ge_engine.runs.lineage import Origin, origins
from ge_engine.runs.references import find_individual, require_genome
from ge_engine.search.rescoring import OwnSettings
from ge_engine.views import markup


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
    """A run's folder, read again at every question, so that it also serves while the run goes on.

    Raises LedgerError where the folder holds no run.
    """

    folder: Path

    @property
    def seed(self) -> Individual:
        return with_genome([self.individual(SEED_ID)])[0]

    @property
    def individuals(self) -> list[Child]:
        """All, those without a genome among them, seed first, in the order of generation and slot."""
        with History(self.folder) as history:
            return list(history.individuals())

    @property
    def front(self) -> list[Individual]:
        """The Pareto front of everything scored."""
        return pareto_front(with_genome(self.individuals), self.directions)

    @property
    def directions(self) -> dict[str, Direction]:
        """The objectives, "min" or "max"."""
        with History(self.folder) as history:
            return history.directions

    @property
    def notations(self) -> dict[str, Notation]:
        """How figures of each objective are written."""
        with History(self.folder) as history:
            return history.notations

    @property
    def config(self) -> RunConfig:
        """The settings of the latest session."""
        with History(self.folder) as history:
            return history.config

    @property
    def rejections(self) -> dict[str, int]:
        """How many children each check rejected, most first."""
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
        """What further random seeds gave, the seed model first; empty without `rescore_seeds`."""
        with History(self.folder) as history:
            return spreads(history)

    def rescore(
        self,
        seeds: int = 3,
        observe: Observe | None = None,
        evaluator: str = OwnSettings().evaluator,
        evaluator_argument: str = "",
        sandbox: str = "auto",
        *,
        workers: int | None = None,
        plugins: Iterable[str] = (),
        no_plugins: Iterable[str] = (),
        allow_changes: bool = False,
    ) -> dict[str, Replicates]:
        """Train the finalists of an ended run with further random seeds, as `ge rescore` does. The evaluator
        has to be that of the run: what the folder names is not started by itself. `workers` trainings run at
        once; None: as many as in the run.

        Raises:
            ConfigError: the run goes on, or was cut off, or has another evaluator; or other versions or
                checks than it was made with could change its results (`allow_changes` goes on all the same).
            KeyboardInterrupt: interrupted; what was trained by then is kept, and the same call goes on.
        """
        own = OwnSettings(evaluator, evaluator_argument, sandbox, workers)
        told = observe or (lambda *_: None)
        registry = load_registry(plugins, no_plugins)
        rescore_run(self.folder, seeds, registry, told, own, allow_changes=allow_changes)
        return self.rescored

    def add(
        self,
        *files: str | Path,
        note: str = "",
        observe: Observe | None = None,
        wait: bool = True,
        evaluator: str = OwnSettings().evaluator,
        evaluator_argument: str = "",
        sandbox: str = "auto",
        workers: int | None = None,
        plugins: Iterable[str] = (),
        no_plugins: Iterable[str] = (),
        allow_changes: bool = False,
    ) -> list[Child | None]:
        """Add changed copies of the seed's file as children of the run, as `ge add` does, all of `files` or
        none. They pass the run's checks, are trained with its settings and enter its population.

        Where somebody works on the run, it takes them in when it begins its next generation; that is waited
        for if `wait`. Where nobody does, they are trained here. Returns the children with what became of
        them, in the order of the files; None for one that has no slot yet.

        Raises:
            SeedError: a file that cannot be read or is the same as the seed, or a change that no block holds.
            ConfigError: a file that the run has already; else as `rescore`.
            KeyboardInterrupt: interrupted; what was added stays in the run, and goes on with it.
        """
        own = OwnSettings(evaluator, evaluator_argument, sandbox, workers)
        told, registry = observe or (lambda *_: None), load_registry(plugins, no_plugins)
        paths = [Path(file) for file in files]
        return add(self.folder, paths, note, wait, registry, told, own, allow_changes=allow_changes)

    def check(self) -> list[str]:
        """What is wrong in the run's ledger, one sentence per fault; empty when all is well."""
        return check(self.folder)

    def blame(self, identity: str) -> list[Origin]:
        """Who brought in each line of an individual that differs from the seed."""
        with History(self.folder) as history:
            return origins(history, find_individual(history, identity))

    def diff(self, identity: str, against: str = "seed") -> Changes:
        """What changed from one individual, by default the seed, to another."""
        sides = [require_genome(self.individual(name)) for name in (against, identity)]
        return Changes(diff_genomes(*sides))

    def export(self, identity: str, output: str | Path, *, force: bool = False, header: bool = True) -> Path:
        """Write an individual as an ordinary Python file, with a `header` that says where it came from.

        Raises:
            ConfigError: no such individual or no code, or a file that exists (`force` overwrites it).
        """
        path = Path(output)
        with History(self.folder) as history:
            one = find_individual(history, identity)
            source = require_genome(one).source
            written = with_header(source, one, history) if header else source
        if path.exists() and not force:
            raise ConfigError(
                f"The file {path} exists.",
                "Choose another name, or overwrite it with --force (force=True from Python).",
            )
        write_whole(path, written)
        return path

    def report(
        self,
        output: str | Path | None = None,
        figures: str | Path | None = None,
        *,
        plugins: Iterable[str] = (),
        no_plugins: Iterable[str] = (),
    ) -> list[Path]:
        """Write the run as one HTML page, by default report.html in its folder, and its plots as PNG and SVG
        into the folder `figures`; the files that were written, the page first.

        Raises:
            ConfigError: a file or folder that cannot be written.
        """
        from ge_engine.report.writing import write_report  # plotly is slow to import

        page = Path(output) if output else self.folder / "report.html"
        registry = load_registry(plugins, no_plugins)
        return write_report(self.folder, registry, page, Path(figures) if figures else None)

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
        how = self.notations.items()
        return [
            [one.id, *(notation.value(one.objectives[name]) for name, notation in how)] for one in self.front
        ]

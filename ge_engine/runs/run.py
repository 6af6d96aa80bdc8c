"""A run as the engine gives it back from Python; a table in a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ge_engine.atomic_file import write_whole
from ge_engine.changes import diff_genomes
from ge_engine.config import Score
from ge_engine.errors import ConfigError, GeError
from ge_engine.events import Observe
from ge_engine.ledger.history import History
from ge_engine.ledger.replicates import Replicates
from ge_engine.loop import rescore as rescore_run
from ge_engine.notation import front_title
from ge_engine.population import Child
from ge_engine.registry import load_registry
from ge_engine.runs.adding import add
from ge_engine.runs.audit import check
from ge_engine.runs.export import with_header
from ge_engine.runs.references import find_individual, require_genome
from ge_engine.runs.run_folder import RunFolder
from ge_engine.runs.values import Changes
from ge_engine.search.rescoring import OwnSettings
from ge_engine.views import markup

if TYPE_CHECKING:
    from ge_engine.report.serve import PageServer

TRAIN = OwnSettings().evaluator


@dataclass(frozen=True, slots=True, repr=False)
class Run(RunFolder):
    """A run: what its folder tells, and what can be done with it. Raises LedgerError where there is none."""

    def rescore(
        self,
        seeds: int = 3,
        observe: Observe | None = None,
        evaluator: str | Score = TRAIN,
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
        own = OwnSettings.of(evaluator, evaluator_argument, sandbox, workers)
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
        evaluator: str | Score = TRAIN,
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
        own = OwnSettings.of(evaluator, evaluator_argument, sandbox, workers)
        told, registry = observe or (lambda *_: None), load_registry(plugins, no_plugins)
        paths = [Path(file) for file in files]
        return add(self.folder, paths, note, wait, registry, told, own, allow_changes=allow_changes)

    def check(self) -> list[str]:
        """What is wrong in the run's ledger, one sentence per fault; empty when all is well."""
        return check(self.folder)

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

    def server(
        self, port: int = 0, *, plugins: Iterable[str] = (), no_plugins: Iterable[str] = ()
    ) -> PageServer:
        """Serves the report on this machine while the run goes on. Raises ConfigError: the port is taken."""
        from ge_engine.report.serve import PageServer, ledger_stamp
        from ge_engine.report.writing import page_of  # plotly is slow to import

        build = partial(page_of, self.folder, load_registry(plugins, no_plugins))
        return PageServer(build, lambda: ledger_stamp(self.folder), port)

    def __str__(self) -> str:
        rows = [["id", *self._titles()], *self._rows()]
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        lines = ["  ".join(map(str.rjust, row, widths)) for row in rows]
        return "\n".join([f"run {self.folder}, {front_title(self.directions)}:", *lines])

    def __repr__(self) -> str:
        """The front as a table; of a folder that cannot be read, why."""
        try:
            return f"<{self}>"
        except GeError as error:
            return f"<run {self.folder}: {error.message}>"

    def _repr_html_(self) -> str:
        title = f"{front_title(self.directions)} of {self.folder}"
        return markup.table(title, ("id", *self._titles()), self._rows())

    def _titles(self) -> list[str]:
        return [notation.title(name) for name, notation in self.notations.items()]

    def _rows(self) -> list[list[str]]:
        how = self.notations.items()
        return [
            [one.id, *(notation.spread(one.objectives[name], one.errors.get(name)) for name, notation in how)]
            for one in self.front
        ]

"""A run as the engine gives it back from Python; a table in a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ge_engine.changes import diff_genomes
from ge_engine.config import Score
from ge_engine.errors import GeError
from ge_engine.events import Observe
from ge_engine.ledger.history import History
from ge_engine.ledger.replicates import Replicates
from ge_engine.loop import rescore as rescore_run
from ge_engine.notation import front_title
from ge_engine.population import Child
from ge_engine.registry import load_registry
from ge_engine.runs.adding import add
from ge_engine.runs.audit import check
from ge_engine.runs.changed_files import changed_files
from ge_engine.runs.commit_message import commit_message
from ge_engine.runs.export import exported, origin, write_files, write_new
from ge_engine.runs.git_commit import Commit, branch_of, commit_changes
from ge_engine.runs.git_patch import GitPatch
from ge_engine.runs.into_folder import Written, write_into
from ge_engine.runs.references import find_individual, require_genome
from ge_engine.runs.run_folder import RunFolder
from ge_engine.runs.trained import Asked, TrainedModel
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
        project: str = "",
        epochs: int = 0,
        workers: int | None = None,
        plugins: Iterable[str] = (),
        no_plugins: Iterable[str] = (),
        allow_changes: bool = False,
    ) -> dict[str, Replicates]:
        """Train the finalists of an ended run with further random seeds, as `ge rescore` does. The evaluator
        and the project have to be those of the run: what the folder names is not started by itself. `epochs`,
        where they are given, are more than the run's: whether its short trainings misled. `workers` trainings
        run at once; None: as many as in the run. Returns what is then known of trainings of that length.

        Raises:
            ConfigError: the run goes on, or was cut off, or has another evaluator; no more epochs than the
                run's; or other versions or checks than it was made with could change its results
                (`allow_changes` resumes all the same).
            KeyboardInterrupt: interrupted; what was trained by then is kept, and the same call goes on.
        """
        own = OwnSettings.of(evaluator, evaluator_argument, sandbox, workers, project)
        told = observe or (lambda *_: None)
        registry = load_registry(plugins, no_plugins)
        rescore_run(self.folder, seeds, registry, told, own, epochs=epochs, allow_changes=allow_changes)
        return self.rescored_longer.get(epochs, {}) if epochs else self.rescored

    def add(
        self,
        *files: str | Path,
        note: str = "",
        observe: Observe | None = None,
        wait: bool = True,
        evaluator: str | Score = TRAIN,
        evaluator_argument: str = "",
        project: str = "",
        sandbox: str = "auto",
        workers: int | None = None,
        plugins: Iterable[str] = (),
        no_plugins: Iterable[str] = (),
        allow_changes: bool = False,
    ) -> list[Child | None]:
        """Add changed copies of the seed model's file as children of the run, as `ge add` does, all of
        `files` or none. They pass the run's checks, are trained with its settings and enter its population.

        Where somebody works on the run, it takes them in when it begins its next generation; that is waited
        for if `wait`. Where nobody does, they are trained here. Returns the children with what became of
        them, in the order of the files; None for one that has no number yet.

        Raises:
            SeedError: a file that cannot be read or is the same as the seed model, or a change that no block
                holds.
            ConfigError: a file that the run has already; else as `rescore`.
            KeyboardInterrupt: interrupted; what was added stays in the run, and goes on with it.
        """
        own = OwnSettings.of(evaluator, evaluator_argument, sandbox, workers, project)
        told, registry = observe or (lambda *_: None), load_registry(plugins, no_plugins)
        paths = [Path(file) for file in files]
        return add(self.folder, paths, note, wait, registry, told, own, allow_changes=allow_changes)

    def train(
        self,
        identity: str,
        output: str | Path,
        *,
        epochs: int | None = None,
        data: str = "train",
        train_limit: int | None = None,
        threads: int | None = None,
        timeout: float | None = None,
        observe: Observe | None = None,
        sandbox: str = "auto",
        plugins: Iterable[str] = (),
        no_plugins: Iterable[str] = (),
    ) -> TrainedModel:
        """Train an individual in full into a new folder `output`, as `ge train` does, with the run's trainer
        and settings: model.py (of several modules the folder src), its weights, and predict.py, which needs
        no engine.

        Args:
            identity: of the individual, "g1s3" or "seed".
            epochs, train_limit, threads: in place of the run's.
            data: "train", or "both" to train on the validation images as well.
            timeout: seconds from one checkpoint to the next; None: the run's, in proportion to the epochs.
            observe: gets "training" (individual, epochs, data, remarks, going_on), then the events of
                `ge_engine.evaluation.full_training.FullTraining`.

        Raises:
            ConfigError: no such individual or no code, a run that the built-in trainer does not score, or a
                folder that holds something else than this training.
            TrainingError: it does not train to its end.
            KeyboardInterrupt: interrupted; the same call goes on from the last checkpoint.
        """
        from ge_engine.runs.training import train  # torch is slow to import

        asked = Asked(epochs, data, train_limit, threads, timeout)
        registry, own = load_registry(plugins, no_plugins), OwnSettings(sandbox=sandbox)
        told = observe or (lambda *_: None)
        return train(self.folder, identity, Path(output), asked, registry, told, own)

    def check(self) -> list[str]:
        """What is wrong in the run's database, one sentence per fault; empty when all is well."""
        return check(self.folder)

    def diff(self, identity: str, against: str = "seed") -> Changes:
        """What changed from one individual, by default the seed model, to another."""
        sides = [require_genome(self.individual(name)) for name in (against, identity)]
        return Changes(diff_genomes(*sides))

    def export(self, identity: str, output: str | Path, *, force: bool = False, header: bool = True) -> Path:
        """Write an individual as an ordinary Python file, with a `header` that says where it came from; one
        of several files as a folder of them.

        Raises:
            ConfigError: no such individual or no code, or a file that exists (`force` overwrites it).
        """
        with History(self.folder) as history:
            one = find_individual(history, identity)
            files = exported(one, history, header)
        if len(files) == 1:
            return write_new(Path(output), files[""], force)
        return write_files(Path(output), files, force)

    def export_patch(
        self, identity: str, output: str | Path, *, force: bool = False, header: bool = True
    ) -> GitPatch:
        """Write what changed from the seed model to an individual as a patch for `git apply`, below a
        `header` that git skips.

        Raises:
            ConfigError: no such individual or no code, nothing that changed, or a file that exists (`force`
                overwrites it).
        """
        with History(self.folder) as history:
            one = find_individual(history, identity)
            changed = changed_files(history, require_genome(one))
            patch = GitPatch.of(changed, origin(one, history) if header else ())
        write_new(Path(output), patch.text, force)
        return patch

    def export_into(self, identity: str, folder: str | Path, *, force: bool = False) -> list[Written]:
        """Write an individual's file to its place below `folder`, a repository or a project, as `ge export
        --into` does: byte for byte, with the permissions of the file there. Nothing is lost: `force`
        overwrites a file that is not what the run read, and keeps a copy where no commit has it.

        Raises:
            ConfigError: no such individual or no code, nothing that changed, no such folder, or a file there
                that has uncommitted changes or, without `force`, is not what the run read.
        """
        with History(self.folder) as history:
            changed = changed_files(history, require_genome(find_individual(history, identity)))
        return write_into(changed, Path(folder), force)

    def export_commit(self, identity: str, *, branch: str = "") -> Commit:
        """Commit what changed from the seed model to an individual on a new `branch` of the repository of its
        file, as `ge export --commit` does; by default ge/RUN-ID. Working tree, index and current branch stay
        as they are, and no hook for commits runs.

        Raises:
            ConfigError: no such individual or no code, nothing that changed, no repository, a file that HEAD
                has otherwise than the run read it, no identity, or a branch that exists.
        """
        with History(self.folder) as history:
            one = find_individual(history, identity)
            changed = changed_files(history, require_genome(one))
            message = commit_message(history, one, changed)
        return commit_changes(changed, message, branch or branch_of(self.folder, one.id), Path.cwd())

    def export_trained(self, identity: str, output: str | Path) -> Path:
        """Write an individual with the weights that the run kept of it into a new folder, as `ge export
        --weights` does: what `train` writes, without training.

        Raises:
            ConfigError: no such individual, no code or no weights; or a folder that is not empty.
            LedgerError: the weights are damaged.
        """
        from ge_engine.runs.kept import write_kept  # torch is slow to import

        write_kept(self.folder, identity, Path(output))
        return Path(output)

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
        """Serves the report on this machine while the run is going on. Raises ConfigError: the port is
        taken."""
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

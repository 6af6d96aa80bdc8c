"""Score genomes by any program: its figures, exit status, time and stderr become outcomes.

`python` is the one that runs this engine. The program gets no secrets, a session of its own, limits and a
scratch folder, with a tree of its project in it where there is one. What it reads and where it connects is up
to it, unless `sandbox` is "bwrap": then the system is read-only to it, all but that folder, and there is no
network.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.contracts import Evaluation, Job, Probe
from ge_engine.evaluation.constraints import parse_constraints
from ge_engine.evaluation.cores import cores
from ge_engine.evaluation.data.module_loader import SEED_FILE
from ge_engine.evaluation.exit_status import Kills
from ge_engine.evaluation.figures import LAST_LINE_BYTES, FigureReader, tail
from ge_engine.evaluation.function_server.forks import Forks
from ge_engine.evaluation.futures import finished
from ge_engine.evaluation.on_machine import chosen_sandbox
from ge_engine.evaluation.programs import Launch, NewProcesses, ProgramLost, RunningProgram, Starter
from ge_engine.evaluation.programs import program_places as program_places
from ge_engine.evaluation.sandbox.environment import clean_environment
from ge_engine.evaluation.sandbox.removal import remove_tree
from ge_engine.evaluation.sandbox.started_processes import StartedProcesses
from ge_engine.evaluation.tracing import blocks_that_ran, code_of, traced_sources
from ge_engine.evaluation.unread import Watched
from ge_engine.evaluation.workplace import Workplace, workplace_of
from ge_engine.genome import Genome
from ge_engine.outcome import Failed, Outcome, Scored

REASON_CHARACTERS = 400


def in_folder(folder: str, program: str) -> str:
    """A program as it is found by one that runs in `folder`: by its name alone on PATH."""
    return os.path.join(folder, program) if os.sep in program else program


@contextmanager
def open_command(
    seed: Genome, config: RunConfig, arguments: Sequence[str], objectives: Sequence[str], scratch: Path
) -> Iterator[CommandEvaluation]:
    """An evaluation that runs `arguments` for each genome, begun anew; "{path}", "{split}", "{seed}",
    "{epochs}" and "{folder}" in them are filled in. All that still runs at the end is killed.

    Raises:
        ConfigError: there is no folder `workdir`, or no `project` in which the seed model has a place; or the
            figures are to be read in a way that cannot be.
    """
    with opened(seed, config, arguments, objectives, scratch) as evaluation:
        yield evaluation


@contextmanager
def opened(
    seed: Genome,
    config: RunConfig,
    arguments: Sequence[str],
    objectives: Sequence[str],
    scratch: Path,
    forks: Forks | None = None,
) -> Iterator[CommandEvaluation]:
    """As `open_command`; what `forks` can begin, they do."""
    scratch = scratch.resolve()
    figures = FigureReader.of(objectives, config.metrics, config.metrics_file)
    paths = {name: one.path for name, one in seed.seed.files.items()}
    place = workplace_of(config, paths, scratch, figures.file)
    evaluation = CommandEvaluation(seed, config, arguments, figures, place, scratch, forks)
    try:
        yield evaluation
    finally:
        evaluation.close()


class CommandEvaluation(Evaluation):
    """Implements `contracts.Evaluation` with one process for each job."""

    runs_programs = True
    remarks: Sequence[str] = ()

    def __init__(
        self,
        seed: Genome,
        config: RunConfig,
        arguments: Sequence[str],
        figures: FigureReader,
        place: Workplace,
        scratch: Path,
        forks: Forks | None = None,
    ) -> None:
        self._forks = forks
        self._arguments = tuple(arguments)
        self.has_test_split = any("{split}" in one for one in self._arguments)
        self._figures, self._place = figures, place
        self._constraint = parse_constraints(config.constraints, tuple(figures.objectives), early=())
        self._timeout = config.timeout
        self._epochs = config.recipe.epochs
        self._confined = config.sandbox == "bwrap" and chosen_sandbox("bwrap") == "bwrap"
        self._anew = NewProcesses(int(config.memory_gib * 2**30), self._confined)
        self._kills = Kills()
        self._folder = scratch / "jobs"
        self._processes = StartedProcesses(scratch / "programs")
        remove_tree(self._folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._seed = seed
        self._ran: frozenset[str] = frozenset()
        self._passed = config.pass_env
        self._pool = ThreadPoolExecutor(config.workers or cores(), thread_name_prefix="ge-command")
        self._lock = threading.Lock()
        self._running: set[RunningProgram] = set()
        self._count = 0
        self._closed = False

    def probe(self, genome: Genome) -> Future[Probe]:
        """Of the seed model, when it was scored here, which blocks the program runs; else all count as
        run."""
        known = self._ran if genome.digest == self._seed.digest else frozenset()
        return finished(Probe(executed=known or frozenset(genome.blocks)))

    def submit(self, job: Job) -> Future[Outcome]:
        """Run the program on the job's genome."""
        return self._pool.submit(self._feasible, job)

    def close(self) -> None:
        """Kill what runs and forget what waits."""
        with self._lock:
            self._closed = True
            running = tuple(self._running)
        for program in running:
            program.end()
        if self._forks:
            self._forks.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        remove_tree(self._folder)

    def _feasible(self, job: Job) -> Outcome:
        outcome = self._run(job)
        if self._forks and isinstance(outcome, Scored):
            self._forks.tell_refusal()
        if job.is_rung or not isinstance(outcome, Scored):
            return outcome
        return self._constraint.broken_after(outcome.objectives) or outcome

    def _run(self, job: Job) -> Outcome:
        with self._lock:
            self._count += 1
            folder = self._folder / str(self._count)
        folder.mkdir()
        try:
            if job.genome.digest == self._seed.digest and job.split == "validation":
                return self._traced(job, folder)
            self._place.lay(folder, job.genome.sources)
            forks = [self._forks] if self._forks else []
            return self._finished(folder, self._filled(job, folder), job.genome.digest, *forks)
        except OSError as error:
            return Failed("command", "error", f"it cannot be started: {error}", "infrastructure")
        finally:
            remove_tree(folder)

    def _traced(self, job: Job, folder: Path) -> Outcome:
        """Score the seed model by a file that tells what of it runs, or as it is where that one fails."""
        told = folder / "blocks that ran"
        command = self._filled(job, folder)
        self._place.lay(folder, traced_sources(job.genome, told))
        places = self._place.files(folder)
        code = code_of(job.genome)
        values = Watched([place for name, place in places.items() if name not in code])
        outcome = self._finished(folder, command, job.genome.digest)
        self._ran = blocks_that_ran(told, job.genome)
        if isinstance(outcome, Failed) and outcome.kind != "timeout":
            self._place.lay(folder, job.genome.sources)
            outcome = self._finished(folder, command, job.genome.digest)
        unread = values.unread(folder) if isinstance(outcome, Scored) else ()
        return _not_read(unread) if unread else outcome

    def _filled(self, job: Job, folder: Path) -> list[str]:
        split = "test" if job.split == "test" else "validation"
        values = {"{path}": str(self._place.file(folder)), "{split}": split, "{seed}": str(job.rng_seed)}
        values |= {"{epochs}": str(job.epochs or self._epochs), "{folder}": str(folder)}
        filled = []
        for argument in self._arguments:
            for name, value in values.items():
                argument = argument.replace(name, value)
            filled.append(argument)
        return filled

    def _environment(self, folder: Path) -> tuple[dict[str, str], list[str]]:
        """The program's variables, and the folders that it finds modules in."""
        environment = clean_environment()
        inherited = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
        places = self._place.places(folder, list(inherited))
        environment |= {"PYTHONPATH": os.pathsep.join(one for one in places if not hides_library(one))}
        environment |= {"TMPDIR": str(folder), "HOME": str(folder), "PATH": program_places()}
        environment |= {SEED_FILE: self._place.seed_file(folder)}
        environment |= {name: os.environ[name] for name in self._passed if name in os.environ}
        return environment, [*places, *self._place.readable]

    def _finished(self, folder: Path, command: Sequence[str], digest: str, *before: Starter) -> Outcome:
        """How a command ends that is started by the first of `before` that can do so, else anew."""
        workdir = self._place.workdir(folder)
        environment, places = self._environment(folder)
        if shutil.which(in_folder(workdir, command[0]), path=environment["PATH"]) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
        words = command if self._confined else self._place.guarded(command, folder)
        launch = Launch(words, folder, workdir, environment, places)
        status = self._ended(launch, *before)
        if status == -signal.SIGKILL:
            return self._kills.judge("command", digest)
        return self._outcome(status, folder)

    def _ended(self, launch: Launch, *before: Starter) -> int | None:
        for starter in before:
            with suppress(ProgramLost):
                return self._ended_by(starter, launch)
        return self._ended_by(self._anew, launch)

    def _ended_by(self, starter: Starter, launch: Launch) -> int | None:
        """The exit status of a program that was started so; None where its time ran out."""
        out, err = launch.folder / "stdout", launch.folder / "stderr"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            program = starter.start(launch, stdout, stderr)
        with self._lock:
            self._running.add(program)
            closed = self._closed
        try:
            self._processes.add(program.pid)
            return program.wait(0 if closed else self._timeout)
        except TimeoutError:
            return None
        finally:
            program.end()
            self._processes.discard(program.pid)
            with self._lock:
                self._running.discard(program)

    def _outcome(self, status: int | None, folder: Path) -> Outcome:
        out, err = folder / "stdout", folder / "stderr"
        said = exception_first(tail(err, LAST_LINE_BYTES))
        if status is None:
            return Failed("command", "timeout", f"still running after {self._timeout:g} s")
        if status < 0:
            return Failed("command", "crash", f"killed by signal {-status}: {said}")
        if status > 0:
            return Failed("command", "crash", f"exit status {status}: {said}")
        return self._figures.read(out, err, self._place.results(folder))


def _not_read(files: Sequence[Path]) -> Failed:
    names = ", ".join(file.name for file in files)
    reason = f"the program does not read {names} of its tree of the project, where the values are evolved"
    return Failed("command", "error", f"{reason}: name it by a path from there, or leave it out of --also")


def hides_library(folder: str) -> bool:
    """Whether a file in `folder` has the name of a module of Python's own that this process uses: on
    PYTHONPATH it would come first, also for torch."""
    with suppress(OSError):
        names = {name.removesuffix(".py") for name in os.listdir(folder) if name.endswith(".py")}
        return bool(names & sys.stdlib_module_names & sys.modules.keys())
    return False


def exception_first(errors: str) -> str:
    """The exception that a traceback ends with, then the end of what was printed."""
    raised = re.findall(r"^[\w.]+(?:Error|Exception|Exit|Interrupt|Warning)\b.*", errors, re.MULTILINE)
    said = " ".join(errors.split())
    if not raised or len(said) <= REASON_CHARACTERS:
        return said
    first = raised[-1][: REASON_CHARACTERS // 2]
    return f"{first} ... {said[len(first) - REASON_CHARACTERS :]}"

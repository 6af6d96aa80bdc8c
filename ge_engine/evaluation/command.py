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
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
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
from ge_engine.evaluation.futures import finished
from ge_engine.evaluation.on_machine import chosen_sandbox
from ge_engine.evaluation.sandbox.bubblewrap import around, below, socket_folders, sockets
from ge_engine.evaluation.sandbox.environment import clean_environment
from ge_engine.evaluation.sandbox.limits import LINUX
from ge_engine.evaluation.sandbox.program import behind_filter
from ge_engine.evaluation.sandbox.removal import remove_tree
from ge_engine.evaluation.sandbox.started_processes import StartedProcesses
from ge_engine.evaluation.tracing import blocks_that_ran, code_of, traced_sources
from ge_engine.evaluation.unread import Watched
from ge_engine.evaluation.workplace import Workplace, workplace_of
from ge_engine.genome import Genome
from ge_engine.outcome import Failed, Outcome, Scored

REASON_CHARACTERS = 400
GRACE_SECONDS = 2.0
"""Time in which a program that is to end may end what it has started."""


def program_places() -> str:
    """The PATH of programs: this Python's folder first."""
    return os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)))


def in_folder(folder: str, program: str) -> str:
    """A program as it is found by one that runs in `folder`: by its name alone on PATH."""
    return os.path.join(folder, program) if os.sep in program else program


@contextmanager
def open_command(
    seed: Genome, config: RunConfig, arguments: Sequence[str], objectives: Sequence[str], scratch: Path
) -> Iterator[CommandEvaluation]:
    """An evaluation that runs `arguments` for each genome; "{path}", "{split}", "{seed}", "{epochs}" and
    "{folder}" in them are filled in. All that still runs at the end is killed.

    Raises:
        ConfigError: there is no folder `workdir`, or no `project` in which the seed model has a place; or the
            figures are to be read in a way that cannot be.
    """
    scratch = scratch.resolve()
    figures = FigureReader.of(objectives, config.metrics, config.metrics_file)
    paths = {name: one.path for name, one in seed.seed.files.items()}
    place = workplace_of(config, paths, scratch, figures.file)
    evaluation = CommandEvaluation(seed, config, arguments, figures, place, scratch)
    try:
        yield evaluation
    finally:
        evaluation.close()


class CommandEvaluation(Evaluation):
    """Implements `contracts.Evaluation` with one process for each job."""

    runs_programs = True

    def __init__(
        self,
        seed: Genome,
        config: RunConfig,
        arguments: Sequence[str],
        figures: FigureReader,
        place: Workplace,
        scratch: Path,
    ) -> None:
        self._arguments = tuple(arguments)
        self.has_test_split = any("{split}" in one for one in self._arguments)
        self._figures, self._place = figures, place
        self._constraint = parse_constraints(config.constraints, tuple(figures.objectives), early=())
        self._timeout = config.timeout
        self._epochs = config.recipe.epochs
        self._memory = int(config.memory_gib * 2**30)
        self._confined = config.sandbox == "bwrap" and chosen_sandbox("bwrap") == "bwrap"
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
        self._running: set[subprocess.Popen[bytes]] = set()
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
        for process in running:
            _end(process)
        self._pool.shutdown(wait=True, cancel_futures=True)
        remove_tree(self._folder)

    def _feasible(self, job: Job) -> Outcome:
        outcome = self._run(job)
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
            return self._finished(folder, self._filled(job, folder), job.genome.digest)
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

    def _finished(self, folder: Path, command: Sequence[str], digest: str) -> Outcome:
        workdir = self._place.workdir(folder)
        environment, places = self._environment(folder)
        if shutil.which(in_folder(workdir, command[0]), path=environment["PATH"]) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
        out, err = folder / "stdout", folder / "stderr"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                confined(command, folder, self._memory, places, workdir)
                if self._confined
                else started(self._place.guarded(command, folder), self._memory),
                cwd=workdir,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                start_new_session=True,
            )
        with self._lock:
            self._running.add(process)
            closed = self._closed
        try:
            self._processes.add(process.pid)
            status: int | None = process.wait(0 if closed else self._timeout)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _end(process)
            self._processes.discard(process.pid)
            with self._lock:
                self._running.discard(process)
        if self._confined and status is not None and status > 128:
            status = 128 - status  # how bubblewrap tells of a signal
        if status == -signal.SIGKILL:
            return self._kills.judge("command", digest)
        return self._outcome(status, out, err, folder)

    def _outcome(self, status: int | None, out: Path, err: Path, folder: Path) -> Outcome:
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


def started(command: Sequence[str], memory: int) -> list[str]:
    """`command` as the user's own program, with `memory` bytes of data (Linux), which reaches no process but
    those that it starts."""
    return behind_filter("none", memory, list(command)) if LINUX else list(command)


def confined(
    command: Sequence[str], folder: Path, memory: int, places: Iterable[str] = (), workdir: str = ""
) -> list[str]:
    """`command` in bubblewrap, with `memory` bytes of data, in the folder `workdir`. Of what lies in folders
    that are hidden for the sockets in them, it sees `places`, Python and its packages, and what it names
    itself."""
    inside = behind_filter("bwrap", memory, list(command))
    workdir = workdir or os.getcwd()
    named = [place for word in command for place in (word, os.path.dirname(word)) if os.path.isabs(word)]
    named += [*places, workdir, *program_places().split(os.pathsep), *sys.path]
    named += [sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), str(folder)]
    folders = socket_folders()
    seen = [place for place in named if below(place, folders) and os.path.exists(place)]
    seen = [place for place in seen if not Path(place).is_socket()]
    return around(["/", *seen], [str(folder)], workdir, inside, [*folders, *sockets(seen)])


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


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program with all that it started, and its group where it does not."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

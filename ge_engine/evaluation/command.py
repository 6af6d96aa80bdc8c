"""Score genomes by any program: its last line is JSON, and exit status, time and stderr become outcomes.

`python` is the one that runs this engine. The program gets no secrets, a session of its own, limits and a
scratch folder. What it reads and where it connects is up to it, unless `sandbox` is "bwrap": then the
system is read-only to it, all but that folder, and there is no network.
"""

from __future__ import annotations

import errno
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ge_engine.config import RunConfig
from ge_engine.contracts import Evaluation, Job, Probe
from ge_engine.evaluation.constraints import parse_constraints
from ge_engine.evaluation.devices import cores
from ge_engine.evaluation.exit_status import Kills
from ge_engine.evaluation.sandbox import limits
from ge_engine.evaluation.sandbox.bubblewrap import around, below, socket_folders, sockets
from ge_engine.evaluation.sandbox.environment import clean_environment
from ge_engine.evaluation.sandbox.program import behind_filter
from ge_engine.evaluation.sandbox.removal import remove_tree
from ge_engine.evaluation.setup import chosen_sandbox
from ge_engine.genome import Genome
from ge_engine.outcome import Failed, Outcome, Scored, storable

OUTPUT_BYTES = 256 * 2**20
TAIL_BYTES = 64 * 2**10
REASON_CHARACTERS = 400


def program_places() -> str:
    """The PATH of programs: this Python's folder first."""
    return os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)))


@contextmanager
def open_command(
    seed: Genome, config: RunConfig, arguments: Sequence[str], objectives: Sequence[str], scratch: Path
) -> Iterator[CommandEvaluation]:
    """An evaluation that runs `arguments` for each genome; "{path}", "{split}", "{seed}" and
    "{epochs}" in them are filled in. All that still runs at the end is killed."""
    evaluation = CommandEvaluation(seed, config, arguments, objectives, scratch.resolve())
    try:
        yield evaluation
    finally:
        evaluation.close()


class CommandEvaluation(Evaluation):
    """Implements `contracts.Evaluation` with one process for each job."""

    def __init__(
        self,
        seed: Genome,
        config: RunConfig,
        arguments: Sequence[str],
        objectives: Sequence[str],
        scratch: Path,
    ) -> None:
        self._arguments = tuple(arguments)
        self._objectives = tuple(objectives)
        self._constraint = parse_constraints(config.constraints, self._objectives, early=())
        self._timeout = config.timeout
        self._epochs = config.recipe.epochs
        self._memory = int(config.memory_gib * 2**30)
        self._confined = config.sandbox == "bwrap" and chosen_sandbox("bwrap") == "bwrap"
        self._kills = Kills()
        self._folder = scratch / "jobs"
        remove_tree(self._folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = Path(seed.seed.path or "seed.py")
        self._pool = ThreadPoolExecutor(config.workers or cores(), thread_name_prefix="ge-command")
        self._lock = threading.Lock()
        self._running: set[int] = set()
        self._count = 0
        self._closed = False

    def probe(self, genome: Genome) -> Future[Probe]:
        """Nothing is known of the program's model: every block counts as executed."""
        seen: Future[Probe] = Future()
        seen.set_result(Probe(executed=frozenset(genome.blocks)))
        return seen

    def submit(self, job: Job) -> Future[Outcome]:
        """Run the program on the job's genome."""
        return self._pool.submit(self._run, job)

    def close(self) -> None:
        """Kill what runs and forget what waits."""
        with self._lock:
            self._closed = True
            running = tuple(self._running)
        for pid in running:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self._pool.shutdown(wait=True, cancel_futures=True)
        remove_tree(self._folder)

    def _run(self, job: Job) -> Outcome:
        with self._lock:
            self._count += 1
            folder = self._folder / str(self._count)
        folder.mkdir()
        try:
            path = folder / self._file.name
            path.write_bytes(job.genome.source)
            return self._finished(folder, self._filled(job, path), job.genome.digest)
        except OSError as error:
            return Failed("command", "error", f"it cannot be started: {error}", "infrastructure")
        finally:
            remove_tree(folder)

    def _filled(self, job: Job, path: Path) -> list[str]:
        split = "test" if job.split == "test" else "validation"
        values = {"{path}": str(path), "{split}": split, "{seed}": str(job.rng_seed)}
        values["{epochs}"] = str(job.epochs or self._epochs)
        filled = []
        for argument in self._arguments:
            for name, value in values.items():
                argument = argument.replace(name, value)
            filled.append(argument)
        return filled

    def _finished(self, folder: Path, command: Sequence[str], digest: str) -> Outcome:
        places = [str(self._file.resolve().parent), os.getcwd(), os.environ.get("PYTHONPATH", "")]
        environment = clean_environment() | {"PYTHONPATH": os.pathsep.join(filter(None, places))}
        environment |= {"TMPDIR": str(folder), "HOME": str(folder), "PATH": program_places()}
        if shutil.which(command[0], path=environment["PATH"]) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
        out, err = folder / "stdout", folder / "stderr"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                confined(command, folder, self._memory, places) if self._confined else started(command),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                start_new_session=True,
            )
        with self._lock:
            self._running.add(process.pid)
            closed = self._closed
        try:
            if limits.LINUX and not self._confined:
                _limit(process.pid, self._memory)
            status: int | None = process.wait(0 if closed else self._timeout)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            with self._lock:
                self._running.discard(process.pid)
        if self._confined and status is not None and status > 128:
            status = 128 - status  # how bubblewrap tells of a signal
        if status == -signal.SIGKILL:
            return self._kills.judge("command", digest)
        return self._outcome(status, _tail(out), _tail(err))

    def _outcome(self, status: int | None, output: str, errors: str) -> Outcome:
        said = " ".join(errors.split())[-REASON_CHARACTERS:]
        if status is None:
            return Failed("command", "timeout", f"still running after {self._timeout:g} s")
        if status < 0:
            return Failed("command", "crash", f"killed by signal {-status}: {said}")
        if status > 0:
            return Failed("command", "crash", f"exit status {status}: {said}")
        outcome = read_scores(output, self._objectives)
        broken = self._constraint.broken_after(outcome.objectives) if isinstance(outcome, Scored) else None
        return broken or outcome


def read_scores(output: str, objectives: Sequence[str]) -> Outcome:
    """The outcome in the last line of a program's output: a JSON object with a number for each objective,
    "errors" (the standard errors of some, by name) where it knows them, and "feedback" (text) if it has
    something to say to the next prompt. A number that no float can hold, of however many digits, is as
    infinite as one that says so."""
    lines = output.strip().splitlines()
    try:
        said: Any = json.loads(lines[-1], parse_int=float) if lines else None
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, Mapping):
        shown = lines[-1][:100] if lines else ""
        return Failed("command", "error", f"its last line is no JSON object: {shown!r}")
    scores = {}
    for name in objectives:
        value = said.get(name)
        if not isinstance(value, float):
            return Failed(
                "command", "error", f"its last line has no number for {name!r}: {lines[-1][:100]!r}"
            )
        if not math.isfinite(value):
            return Failed("command", "not finite", f"{name} is {value}")
        scores[name] = value
    feedback, errors = said.get("feedback"), said.get("errors") or {}
    if not isinstance(errors, Mapping):
        return Failed("command", "error", f'"errors" is no JSON object of numbers by name: {errors!r:.100}')
    details = {"feedback": storable(feedback[:2000])} if isinstance(feedback, str) else {}
    return Scored(scores, details, errors)


def started(command: Sequence[str]) -> list[str]:
    """`command` as the user's own program, which reaches no process but those that it starts."""
    return behind_filter("none", list(command)) if limits.LINUX else list(command)


def confined(command: Sequence[str], folder: Path, memory: int, places: Iterable[str] = ()) -> list[str]:
    """`command` in bubblewrap, with the limits that others get from outside: `memory` bytes of data. Of what
    lies in folders that are hidden for the sockets in them, it sees `places`, Python and its packages, and
    what it names itself."""
    limited = f'ulimit -c 0; ulimit -f {OUTPUT_BYTES // 512}; ulimit -d {memory // 1024}; exec "$@"'
    inside = behind_filter("bwrap", ["/bin/sh", "-c", limited, "sh", *command])
    named = [place for word in command for place in (word, os.path.dirname(word)) if os.path.isabs(word)]
    named += [*places, *program_places().split(os.pathsep), *sys.path]
    named += [sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), str(folder)]
    folders = socket_folders()
    seen = [place for place in named if below(place, folders) and os.path.exists(place)]
    seen = [place for place in seen if not Path(place).is_socket()]
    return around(["/", *seen], [str(folder)], os.getcwd(), inside, [*folders, *sockets(seen)])


def _limit(pid: int, memory: int) -> None:
    with suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (OUTPUT_BYTES, OUTPUT_BYTES))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
        resource.prlimit(pid, resource.RLIMIT_DATA, (memory, memory))


def _tail(file: Path) -> str:
    with file.open("rb") as held:
        held.seek(max(0, file.stat().st_size - TAIL_BYTES))
        return held.read().decode("utf-8", "replace")

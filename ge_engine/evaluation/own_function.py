"""Score genomes by a Python function of the user's: each call is a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.evaluation.command import CommandEvaluation, opened
from ge_engine.evaluation.function_server.forks import CALL, Forks
from ge_engine.evaluation.sandbox.limits import LINUX
from ge_engine.genome import Genome


@contextmanager
def open_function(
    seed: Genome, config: RunConfig, target: str, objectives: Sequence[str], scratch: Path
) -> Iterator[CommandEvaluation]:
    """An evaluation that calls `target`, FILE.py:FUNCTION with the file's whole path or MODULE:FUNCTION, for
    each genome. Its module is loaded once, and each call is a fork of the process that has done so; each is a
    new process where `start_method` is "spawn", where the system is not Linux, where each has files of its
    own (bubblewrap, a project), and where a fork would not be what a new process is.

    Raises ConfigError as `open_command` does.
    """
    words = [*CALL, target, "{path}", f"{config.timeout:g}", "{split}", "{seed}", "{epochs}"]
    why = why_anew(config)
    forks = None if why else _forks(seed, config, target, scratch)
    with opened(seed, config, words, objectives, scratch, forks) as evaluation:
        if why and config.start_method != "spawn":
            evaluation.remarks = (f"Each call of the function starts a Python of its own: {why}.",)
        yield evaluation


def why_anew(config: RunConfig) -> str:
    """Why each call is a new process; "" where it may be a fork."""
    if config.start_method == "spawn":
        return "--start-method spawn"
    if not LINUX:
        return "a fork is not safe on this system"
    if config.sandbox == "bwrap":
        return "--sandbox bwrap"
    return "--project" if config.project else ""


def _forks(seed: Genome, config: RunConfig, target: str, scratch: Path) -> Forks:
    path = next(iter(seed.seed.files.values())).path or Path("seed.py")
    return Forks(target, path.name, int(config.memory_gib * 2**30), config.timeout, scratch.resolve())

"""Score genomes by a Python function of the user's: each call is a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.evaluation.command import CommandEvaluation, opened
from ge_engine.evaluation.function_server.forks import CALL, Forks
from ge_engine.evaluation.worker.spawn import chosen_start_method
from ge_engine.genome import Genome


@contextmanager
def open_function(
    seed: Genome, config: RunConfig, target: str, objectives: Sequence[str], scratch: Path
) -> Iterator[CommandEvaluation]:
    """An evaluation that calls `target`, FILE.py:FUNCTION with the file's whole path or MODULE:FUNCTION, for
    each genome. Its module is loaded once, and each call is a fork of the process that has done so, where
    `start_method` is not "spawn". In bubblewrap each has a system of its own, and so it has in a tree of a
    project: there, and where a fork would not be what a new process is, each call is a new process.

    Raises ConfigError as `open_command` does.
    """
    words = [*CALL, target, "{path}", f"{config.timeout:g}", "{split}", "{seed}", "{epochs}"]
    forks = None
    if chosen_start_method(config.start_method) == "fork" and not (
        config.sandbox == "bwrap" or config.project
    ):
        path = next(iter(seed.seed.files.values())).path or Path("seed.py")
        memory = int(config.memory_gib * 2**30)
        forks = Forks(target, path.name, memory, config.timeout, scratch.resolve())
    with opened(seed, config, words, objectives, scratch, forks) as evaluation:
        yield evaluation

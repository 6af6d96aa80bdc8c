"""What a machine has that trainings need, told by an agent on it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ge_engine.agents.versions import require_versions
from ge_engine.agents.wire import Connection, well_formed
from ge_engine.cache import cache_folder, cache_path
from ge_engine.config import RunConfig
from ge_engine.errors import GeError
from ge_engine.evaluation.cores import cores
from ge_engine.evaluation.devices import gpus_in_words, placement_of
from ge_engine.evaluation.nodes.remote_session import (
    files_beside,
    require_files,
    versions,
)
from ge_engine.evaluation.on_machine import chosen_sandbox, on_this_machine
from ge_engine.genome import Genome
from ge_engine.processor import processor_name


@dataclass(frozen=True, slots=True)
class Machine:
    """`agents` of it have come, and the slowest answers in `round_trip` seconds; 0 where none was asked.

    `trainings` run at once in each agent, confined by `sandbox`: "bwrap", "landlock", "network" (closed,
    files open) or "none". `free` are bytes in the folder `cache`, `files` how many of those beside the seed
    model were compared. `faults` are reasons, a sentence each, for which it cannot serve.
    """

    host: str
    processor: str
    cores: int
    devices: tuple[str, ...]
    trainings: int
    python: str
    versions: Mapping[str, str]
    sandbox: str
    cache: str
    free: int
    files: int
    faults: tuple[str, ...]
    agents: int = 1
    round_trip: float = 0.0


def machine_here(wanted: Mapping[str, str], files: Mapping[str, str], workers: int) -> Machine:
    """This machine, which shall have the versions `wanted`, and `files` with these SHA-256. Its agent runs
    `workers` trainings at once; 0: as many as fit."""
    faults: list[str] = []

    def tried(work: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return work()
        except Exception as error:
            told = f"{error.message} {error.hint}" if isinstance(error, GeError) else ""
            faults.append(told or f"{type(error).__name__}: {error}")
            return otherwise

    tried(lambda: require_versions(wanted, versions()), None)
    tried(lambda: require_files(files), None)
    cache = tried(cache_folder, cache_path())
    return Machine(
        host=socket.gethostname(),
        processor=processor_name(),
        cores=cores(),
        devices=tried(gpus_in_words, ()),
        trainings=workers or tried(lambda: placement_of(RunConfig()).slots, 0),
        python=sys.executable,
        versions=versions(),
        sandbox=chosen_sandbox("auto"),
        cache=str(cache),
        free=tried(lambda: _free(cache), 0),
        files=len(files),
        faults=tuple(faults),
    )


def required_files(seed: Genome) -> dict[str, str]:
    """The SHA-256 of the files beside a seed model that its machines must have, by their paths."""
    paths = [Path(os.path.abspath(one.path)) for one in seed.seed.files.values() if one.path]
    sources = [one.source for one in seed.files.values()]
    here = on_this_machine(paths, sources, seed.digest, RunConfig(), Path(), ())
    return files_beside(map(str, paths), here.modules)


async def told_of_machine(connection: Connection, asked: Mapping[str, Any], workers: int) -> None:
    """Tell an engine that has no jobs what this machine has, and answer until it says that it is enough.

    Raises:
        One of `wire.LOST`: the engine is gone.
    """
    machine = await asyncio.to_thread(machine_here, asked["versions"], asked["files"], workers)
    await connection.send("machine", asdict(machine))
    while (message := (await connection.receive())[0])["kind"] != "bye":
        if message["kind"] == "ping":
            await connection.send("pong")


def machine_of(message: Mapping[str, Any]) -> Machine:
    """What an agent told. Raises ConnectionError: it is no machine."""
    with well_formed():
        values = {name: message[name] for name in Machine.__dataclass_fields__}
        for name in ("cores", "trainings", "free", "files", "agents"):
            values[name] = int(values[name])
        for name in ("host", "processor", "python", "sandbox", "cache"):
            values[name] = str(values[name])
        for name in ("devices", "faults"):
            values[name] = tuple(map(str, values[name]))
        told = {str(name): str(version) for name, version in values["versions"].items()}
        return Machine(**{**values, "versions": told, "round_trip": float(values["round_trip"])})


def _free(folder: Path) -> int:
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    return shutil.disk_usage(there).free

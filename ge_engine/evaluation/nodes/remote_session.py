"""A session as an agent gets it, and what it is on the agent's machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ge_engine.agents.versions import file_digest, require_versions, versions_of
from ge_engine.cache import cache_paths
from ge_engine.config import RunConfig
from ge_engine.errors import ConfigError
from ge_engine.evaluation.devices import Placement, placement_of
from ge_engine.evaluation.on_machine import fields_of, on_this_machine
from ge_engine.evaluation.protocol.messages import SessionSpec, session_from_json, to_json

ASKED = ("sandbox", "start_method", "workers", "processes_per_candidate", "gpus_per_candidate")
"""The settings that say what is asked of a machine."""


@dataclass(frozen=True, slots=True)
class RemoteSession:
    """What an agent needs of a session besides the arrays, of which it gets the digests.

    `sources` are latin-1 texts of the seed model's files in the session's order, `digest` its genome's,
    `asked` the settings that say what is asked of a machine, `private` paths that no candidate reads, `files`
    the SHA-256 of modules beside the seed model by their paths, `arrays` that of the bytes of each array,
    `limit` the most bytes of a result, and `versions` those that figures depend on.
    """

    session: SessionSpec
    sources: tuple[str, ...]
    digest: str
    asked: Mapping[str, Any]
    private: tuple[str, ...]
    files: Mapping[str, str]
    arrays: tuple[str, ...]
    limit: int
    versions: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        held = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "session"}
        return held | {"session": to_json(self.session).decode()}

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> RemoteSession:
        values = {name: held[name] for name in cls.__dataclass_fields__}
        for name in ("sources", "private", "arrays"):
            values[name] = tuple(values[name])
        return cls(**{**values, "session": session_from_json(values["session"].encode())})


def remote_session(held: Mapping[str, Any]) -> RemoteSession:
    """What an engine sent. Raises ConfigError: it is one of other versions than this machine's, before
    anything else of it is read."""
    require_versions(held["versions"], versions())
    return RemoteSession.from_json(held)


def asked_of_machines(config: RunConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in ASKED}


def versions() -> dict[str, str]:
    """What must be equal on all machines of a run: other versions compute other figures."""
    return versions_of(("torch", "torchvision", "numpy"))


def array_digests(arrays: Sequence[memoryview]) -> tuple[str, ...]:
    return tuple(hashlib.sha256(array).hexdigest() for array in arrays)


def files_beside(own: Iterable[str], modules: Mapping[str, str]) -> dict[str, str]:
    """The digests of files among `modules` that the seed model, whose `own` files are sent, imports from
    beside it: they must be on each machine."""
    sent = set(own)
    paths = {path for path in modules.values() if path not in sent and Path(path).is_file()}
    return {path: file_digest(Path(path)) for path in sorted(paths)}


def session_here(remote: RemoteSession, scratch: Path) -> tuple[SessionSpec, Placement]:
    """The session on this machine, whose jobs write below `scratch`, and what runs at once.

    Raises:
        ConfigError: this machine has other versions, lacks files, or has not what is asked for.
    """
    require_files(remote.files)
    config = RunConfig(**remote.asked)
    paths = [Path(path) for path in remote.session.files.values()]
    sources = [source.encode("latin-1") for source in remote.sources]
    private = [scratch, *cache_paths(), *map(Path, remote.private)]
    kept = [path for path in dict.fromkeys(private) if path.exists()]
    here = on_this_machine(paths, sources, remote.digest, config, scratch, kept)
    return replace(remote.session, **fields_of(here)), placement_of(config)


def require_files(files: Mapping[str, str]) -> None:
    """Raises ConfigError: one of `files` has another SHA-256 here than it should."""
    for path, digest in files.items():
        if file_digest(Path(path)) != digest:
            raise ConfigError(
                f"{path}, which the seed model imports, is not the same here.",
                "All machines of a run must see the project at the same place: a folder that they share.",
            )

"""What of a session holds on one machine alone: its devices, its sandbox, and what may be read there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ge_engine.config import RunConfig
from ge_engine.errors import ConfigError
from ge_engine.evaluation.data.candidate_files import module_at
from ge_engine.evaluation.data.module_loader import ModuleAddress, module_address, namespace_of
from ge_engine.evaluation.devices import placement_of
from ge_engine.evaluation.sandbox import bubblewrap
from ge_engine.evaluation.sandbox.landlock import landlock_version
from ge_engine.evaluation.sandbox.readable import readable_files
from ge_engine.evaluation.worker.spawn import chosen_start_method
from ge_engine.source.yaml_tree import is_yaml


@dataclass(frozen=True, slots=True)
class OnMachine:
    """What of a session holds on one machine alone; fields as in `SessionSpec`."""

    device: str
    sandbox: str
    readable: tuple[str, ...]
    scratch: str
    processes: int
    start_method: str
    places: tuple[str, ...]
    hidden: tuple[str, ...]
    listed: tuple[str, ...]
    modules: Mapping[str, str]


def fields_of(machine: OnMachine) -> dict[str, Any]:
    return {one.name: getattr(machine, one.name) for one in fields(machine)}


def on_this_machine(
    paths: Sequence[Path],
    sources: Sequence[bytes],
    digest: str,
    config: RunConfig,
    scratch: Path,
    private: Sequence[Path],
) -> OnMachine:
    """What holds here of a session whose seed model, of `digest`, lies at `paths`, the one that builds it
    first. Of `config` are heeded what asks for devices, processes, sandbox and start method.

    Raises:
        ConfigError: this machine has not what is asked for, or `private` is what candidates need.
    """
    address = seed_address(paths, sources, digest)
    placement = placement_of(config)
    others = [
        (source, module_at(place, address.root) or place.stem)
        for place, source in list(zip(paths, sources, strict=True))[1:]
        if not is_yaml(place)
    ]
    opened = [str(place) for place in paths if is_yaml(place)]
    readable = readable_files(sources[0], address, private, bool(placement.devices), others, opened)
    return OnMachine(
        device="cuda" if placement.devices else "cpu",
        sandbox=chosen_sandbox(config.sandbox),
        readable=readable.paths(),
        scratch=str(scratch),
        processes=placement.processes,
        start_method=chosen_start_method(config.start_method),
        places=readable.places,
        hidden=readable.hidden,
        listed=readable.listed,
        modules=readable.modules,
    )


def seed_address(paths: Sequence[Path], sources: Sequence[bytes], digest: str) -> ModuleAddress:
    return module_address(paths[0], digest, namespace_of(paths[0], sources[0]))


def chosen_sandbox(asked: str) -> str:
    """The name of the sandbox in force, "bwrap", "landlock", "network" (closed, files open) or "none".

    Raises:
        ConfigError: what is asked for is not available here.
    """
    if asked in ("auto", "bwrap"):
        missing = bubblewrap.why_not()
        if not missing:
            return "bwrap"
        if asked == "bwrap":
            raise ConfigError(
                f"Candidates cannot be confined by bubblewrap: {missing}.",
                "Install the package bubblewrap and allow user namespaces, or take --sandbox auto.",
            )
    available = landlock_version() > 0
    if asked == "landlock" and not available:
        raise ConfigError(
            "This kernel has no Landlock to confine candidates with.",
            "Use Linux 5.13 or later, or --sandbox auto.",
        )
    if asked == "none":
        return "none"
    return "landlock" if available else "network"

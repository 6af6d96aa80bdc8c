"""What a run is made with: versions of Python, libraries, the engine and its plugins, and the checks."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ge_engine.config import RunConfig
from ge_engine.registry import Origin, Registry, in_use

ENGINE = "ge-engine"
BY_MINOR = frozenset({"python", "torch", "libcst"})
"""Of these a patch release changes no result; of everything else any other version may."""
ASKED_FOR = frozenset({"ge_language_models", "ge_grammars", "ge_executors"})
"""A plugin that brings these alone decides nothing by itself: a run may change its language models and where
it trains at any time, and a grammar takes part when an operator asks for it by name."""


@dataclass(frozen=True, slots=True)
class Making:
    """What results can depend on: `versions` by name, the `checks` in force, sorted. `others` are versions of
    plugins that bring language models, grammars or executors alone."""

    versions: Mapping[str, str]
    checks: tuple[str, ...]
    others: Mapping[str, str]

    @property
    def is_whole(self) -> bool:
        """Whether all was kept: version 0.1.0 kept none."""
        return self.versions.keys() >= BY_MINOR

    def __str__(self) -> str:
        return ", ".join(
            f"{name} {version}" for name, version in sorted({**self.versions, **self.others}.items())
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that `was` and is `now`, each in words; whether results could change by it."""

    was: str
    now: str
    matters: bool


def made_with(registry: Registry, config: RunConfig) -> Making:
    """The versions and checks of this session."""
    versions = {name: _installed(name) for name in (ENGINE, "torch", "libcst")}
    versions["python"] = platform.python_version()
    others: dict[str, str] = {}
    for origin in registry.origins:
        hooks = {
            hook for hook, name in in_use(registry, config) if registry.owners[hook, name] == origin.name
        }
        if hooks:
            (others if hooks <= ASKED_FOR else versions).setdefault(*_named(origin))
    checks = tuple(sorted(set(config.checks)))
    return Making(versions, checks, {name: v for name, v in others.items() if name not in versions})


def differences(was: Making, now: Making) -> Iterator[Difference]:
    """What differs, by name; nothing when the same made both."""
    for name in sorted(was.versions.keys() | now.versions.keys()):
        old, new = was.versions.get(name), now.versions.get(name)
        if old != new and (was.is_whole or (old and new)):
            yield Difference(_told(name, old), _told(name, new), _matters(name, old, new))
    for name in sorted(was.others.keys() & now.others.keys()):
        if was.others[name] != now.others[name]:
            yield Difference(_told(name, was.others[name]), _told(name, now.others[name]), matters=False)
    for name in sorted(set(was.checks) ^ set(now.checks)):
        there, gone = f"the check {name!r}", f"no check {name!r}"
        yield Difference(*((there, gone) if name in was.checks else (gone, there)), matters=True)
    if not was.is_whole:
        yield Difference("versions that its run database does not hold", str(now), matters=False)


def sentence(found: list[Difference]) -> str:
    """ "torch 2.8.0 until now, torch 2.9.1 from here on"."""
    was, now = (", ".join(getattr(one, side) for one in found) for side in ("was", "now"))
    return f"{was} until now, {now} from here on"


def _matters(name: str, old: str | None, new: str | None) -> bool:
    if name in BY_MINOR and old and new:
        return old.split(".")[:2] != new.split(".")[:2]
    return True


def _told(name: str, version: str | None) -> str:
    return f"no {name}" if version is None else f"{name} {version}"


def _named(origin: Origin) -> tuple[str, str]:
    """The distribution and its version; of a module at hand, which has none, a digest of its file."""
    if origin.distribution:
        return origin.distribution, origin.version
    file = getattr(sys.modules.get(origin.module), "__file__", None)
    digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12] if file else ""
    return origin.module, f"file {digest}" if digest else "without a version"


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"

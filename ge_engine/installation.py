"""What this installation has, and what is missing."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ge_engine import __version__
from ge_engine.agents.versions import versions_of
from ge_engine.config import RunConfig
from ge_engine.contracts import AgentExecutor
from ge_engine.errors import GeError, ModelError
from ge_engine.evaluation.cores import cores
from ge_engine.evaluation.devices import gpus_in_words
from ge_engine.evaluation.sandbox import bubblewrap, confinement, network
from ge_engine.evaluation.sandbox.landlock import landlock_version
from ge_engine.evaluation.sandbox.privileges import root_warning
from ge_engine.evaluation.worker.spawn import chosen_start_method
from ge_engine.llm.embedded import cached_model
from ge_engine.registry import choose, load_registry

if TYPE_CHECKING:
    from ge_engine.evaluation.nodes.survey import Survey

State = Literal["ok", "note", "missing"]
Finding = tuple[State, str, str]
"""Whether it is there, what it is, and a word on it."""
NEEDED = (
    "torch",
    "torchvision",
    "transformers",
    "accelerate",
    "libcst",
    "pluggy",
    "llguidance",
    "gguf",
    "deap",
    "moocore",
)


def findings(
    servers: Sequence[str] = (), plugins: Iterable[str] = (), no_plugins: Iterable[str] = ()
) -> list[Finding]:
    """Versions, device, model cache, sandbox, plugins (as `evolve`) and the language model's `servers`
    (without any, those of $OPENAI_BASE_URL), each with whether it is there."""
    here = [*_system(), *_packages(), *_device(), *_sandbox(), *_model(), *_plugins(plugins, no_plugins)]
    return [*here, *_servers(",".join(servers) or os.environ.get("OPENAI_BASE_URL", ""))]


def machines(
    executor: str,
    *,
    seed: str | Path | None = None,
    folder: str | Path = ".",
    agents: int = 0,
    timeout: float = 120.0,
    plugins: Iterable[str] = (),
    no_plugins: Iterable[str] = (),
    tell: Callable[[str], object] = str,
) -> Survey:
    """What the machines of an executor ("slurm:agents=2") have, told by agents that end with this call.

    Args:
        executor: as the setting of a run.
        seed: a seed model's file; those beside it that it imports must be the same on all machines.
        folder: where runs will lie: a folder in it holds what agents need to come, and is removed again.
        agents: how many are waited for; 0: as many as the executor starts, or one.
        timeout: seconds for which they are waited for.
        plugins, no_plugins: as `evolve`.
        tell: hears how agents stand while they are waited for.

    Raises:
        ConfigError: an executor that there is not, one that lacks what it needs here, or a folder that cannot
            be written. SeedError, PluginError.
    """
    from ge_engine.blaming import blamed_executor, blaming
    from ge_engine.evaluation.nodes.machine import required_files
    from ge_engine.evaluation.nodes.remote_session import versions
    from ge_engine.evaluation.nodes.survey import Asked, survey_from, survey_here
    from ge_engine.seed_files import load_seed

    registry = load_registry(plugins, no_plugins)
    name, _, argument = executor.partition(":")
    chosen = choose(registry.executors, name, "executor")
    with blaming(registry, "ge_executors", name):
        chosen.check(argument)
    files = required_files(load_seed(seed).genome) if seed else {}
    asked = Asked(versions(), files, agents, timeout)
    lending = blamed_executor(chosen, registry)
    if not isinstance(lending, AgentExecutor):
        return survey_here(asked)
    return survey_from(lending, argument, asked, Path(folder), tell)


def _system() -> Iterator[Finding]:
    yield "ok", "ge_engine", __version__
    yield "ok", "python", f"{platform.python_version()} ({sys.executable})"
    yield "ok", "system", f"{platform.platform()}, {cores()} of {os.cpu_count()} cores"


def _packages() -> Iterator[Finding]:
    for name in NEEDED:
        try:
            yield "ok", name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield "missing", name, f"not installed; pip install {name}"


def _device() -> Iterator[Finding]:
    try:
        import torch  # slow to import and the very thing that may be broken
    except ImportError as error:
        yield "missing", "device", f"torch cannot be imported: {error}"
        return
    if found := gpus_in_words():
        for said in found:
            yield "ok", "device", said
        yield gpu_in_sandbox()
    elif torch.backends.mps.is_available():
        yield "ok", "device", "mps (Apple)"
    else:
        yield "note", "device", f"cpu, {torch.get_num_threads()} threads; training is slow without a GPU"


def gpu_in_sandbox(code: str | None = None) -> Finding:
    """Whether a candidate can use a GPU where it is confined. `code` stands for a driver that is missing."""
    from ge_engine.evaluation import gpu_check  # imports torch
    from ge_engine.evaluation.on_machine import chosen_sandbox

    sandbox = chosen_sandbox("auto")
    refused = gpu_check.why_not(sandbox, code or gpu_check.USE_GPU)
    if refused:
        return "missing", "GPU in sandbox", f"{refused} ({sandbox}); --sandbox none trains without a sandbox"
    return "ok", "GPU in sandbox", f"CUDA starts and computes as a candidate's does ({sandbox})"


def _model() -> Iterator[Finding]:
    found = cached_model()
    if found is None:
        yield "note", "model cache", "empty; the first run downloads SmolLM2-135M-Instruct (93 MB)"
    else:
        yield "ok", "model cache", str(found)
    yield "ok", "model backend", _backend()
    key = "set" if os.environ.get("OPENAI_API_KEY") else "not set; only needed for --llm openai:MODEL"
    yield "ok", "API key", key


def _backend() -> str:
    """What computes a local model on a CPU; which one a run takes is found out when it loads the model."""
    version = versions_of(["openvino"])["openvino"]
    if version == "none":
        return "torch; pip install 'ge-engine[openvino]' may make local models on a CPU faster"
    return f"openvino {version} on a CPU where it agrees and is faster, else torch"


def _servers(addresses: str) -> Iterator[Finding]:
    if not addresses:
        return
    from ge_engine.llm.connection import connect
    from ge_engine.llm.server_pool import HEALTH_SECONDS

    try:
        endpoints = connect(f"@{addresses}", os.environ, RunConfig())
    except ModelError as error:
        yield "missing", "server", f"{error.message} {error.hint}"
        return
    with ThreadPoolExecutor(len(endpoints)) as threads:
        found = list(threads.map(lambda one: one.why_unwell(HEALTH_SECONDS), endpoints))
    for endpoint, why in zip(endpoints, found, strict=True):
        yield (
            "missing" if why else "ok",
            "server",
            f"{endpoint.place} {f'cannot answer: {why}' if why else 'is well'}",
        )
        endpoint.close()


def _plugins(plugins: Iterable[str], no_plugins: Iterable[str]) -> Iterator[Finding]:
    try:
        registry = load_registry(plugins, no_plugins)
    except GeError as error:
        yield "missing", "plugins", f"{error.message} {error.hint}"
        return
    foreign = [o.name for o in registry.origins if o.distribution != "ge-engine"]
    extra = f", others: {', '.join(foreign)}" if foreign else ""
    yield "ok", "plugins", f"{len(registry.origins) - len(foreign)} built in{extra}"


def _kernel() -> Iterator[Finding]:
    have = confinement.in_force()
    if "filter" in have:
        yield "ok", "system calls", "one filter refuses what touches other processes, in every mode"
    else:
        yield "note", "system calls", f"no filter for this system ({platform.machine()})"
    if "processes" in have:
        yield "ok", "process list", "each candidate sees and reaches its own processes only (not on a GPU)"
    else:
        yield "note", "process list", "no process namespaces here; Landlock hides other processes' files"


def _sandbox() -> Iterator[Finding]:
    version, missing, closed = landlock_version(), bubblewrap.why_not(), network.closed_by()
    if missing:
        yield "note", "bubblewrap", f"{missing}; --sandbox auto goes without"
    else:
        yield "ok", "bubblewrap", "candidates see no process, no network and no files but what they need"
    if version:
        denied = "files outside an allow-list" + (", signals to other processes" if version >= 6 else "")
        yield "ok", "Landlock", f"version {version}: candidates are denied {denied}"
    else:
        yield "note", "Landlock", "not in this kernel" + ("; candidates can read files" if missing else "")
    if root_warning():
        yield "note", "rights", root_warning()
    yield from _kernel()
    method = chosen_start_method("auto")
    begin = {"fork": "a fork of a warm one", "spawn": "a new one: each imports torch first"}
    yield "ok", "processes", f"a candidate's is {begin[method]} ({method})"
    how = {
        "namespace": "each candidate has a network namespace of its own (on a GPU a seccomp filter)",
        "seccomp": "namespaces are forbidden here; a seccomp filter refuses sockets",
        "": "not closed beyond what the above does",
    }
    yield "ok" if closed else "note", "network", how[closed]

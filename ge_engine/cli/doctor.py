"""`ge doctor`: what this installation has, or the machines of an executor, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ge_engine import api
from ge_engine.cli.completion import registered
from ge_engine.cli.options import BlockedPlugins, PluginModules
from ge_engine.errors import ConfigError
from ge_engine.views.console import err, out
from ge_engine.views.outcomes import counted

STYLE = {"ok": "green", "note": "yellow", "missing": "red", "": ""}
CONFINED = {"bwrap": "bubblewrap", "landlock": "Landlock", "network": "no network; files can be read"}


def doctor(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A seed model: is what it imports the same on all machines?"),
    ] = None,
    executor: Annotated[
        str,
        typer.Option(
            metavar="NAME[:ARG]",
            help="Look at the machines of this executor, not at this one.",
            autocompletion=registered("ge_executors"),
        ),
    ] = "",
    agents: Annotated[int | None, typer.Option(min=1, help="Agents waited for; else all.")] = None,
    timeout: Annotated[float | None, typer.Option(min=1.0, help="Seconds waited for them; else 120.")] = None,
    folder: Annotated[Path | None, typer.Option(metavar="DIR", help="Where runs will lie.")] = None,
    llm_url: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Also see whether this server can answer (repeatable)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    plugin: PluginModules = None,
    no_plugin: BlockedPlugins = None,
) -> None:
    """Show versions, device, model cache and sandbox; exit code 1 when something is missing.

    With --executor, show this of the machines that its agents come to; exit code 2 when one cannot serve.

    Examples:

      ge doctor

      ge doctor --llm-url http://gpu1:8000/v1 --llm-url http://gpu2:8000/v1

      ge doctor model.py --executor slurm:agents=2,partition=gpu
    """
    given = {"seed": file, "agents": agents, "timeout": timeout, "folder": folder}
    asked: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if not executor:
        if asked:
            raise ConfigError(
                "FILE, --agents, --timeout and --folder are for the machines of an executor.",
                "Give --executor too.",
            )
        _installation(api.findings(llm_url or (), plugin or (), no_plugin or ()), as_json)
        return
    if llm_url:
        raise ConfigError(
            "Servers of a language model are looked at from this machine.",
            "Give --llm-url without --executor.",
        )
    found = api.machines(
        executor,
        **asked,
        plugins=plugin or (),
        no_plugins=no_plugin or (),
        tell=lambda said: err.print(f"Waiting for agents: {said}"),
    )
    _machines(found, as_json)


def _machines(found: Any, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(found), allow_nan=False))
    else:
        for machine in found.machines:
            _print(_of_machine(machine))
        for fault in found.faults:
            _print([("missing", "fault", fault)])
    if found.faults:
        raise typer.Exit(2)


def _installation(found: Sequence[tuple[str, str, str]], as_json: bool) -> None:
    if as_json:
        named = [{"state": state, "name": name, "value": value} for state, name, value in found]
        typer.echo(json.dumps({"findings": named}))
    else:
        _print(found)
    if any(state == "missing" for state, _, _ in found):
        raise typer.Exit(1)


def _print(found: Iterable[tuple[str, str, str]]) -> None:
    for state, name, value in found:
        out.print(Text.assemble((f"{state:8}", STYLE[state]), (f"{name:14}", "bold"), value))


def _of_machine(machine: Any) -> Iterator[tuple[str, str, str]]:
    agents = f", {machine.agents} agents" if machine.agents > 1 else ""
    yield "missing" if machine.faults else "ok", "machine", f"{machine.host}{agents}"
    yield "", "processor", f"{machine.processor}, {counted(machine.cores, 'core')}"
    yield "", "devices", "; ".join(machine.devices) or "cpu"
    each = " in each agent" if machine.agents > 1 else ""
    yield "", "at once", f"{counted(machine.trainings, 'training')}{each}"
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    yield "", "versions", f"{versions} ({machine.python})"
    yield "", "sandbox", CONFINED.get(machine.sandbox, machine.sandbox)
    yield "", "cache", f"{machine.cache}, {machine.free / 2**30:.0f} GiB free"
    if machine.files and not machine.faults:
        yield "", "shared files", f"{counted(machine.files, 'file')} beside the seed model, the same here"
    if machine.round_trip:
        yield "", "round trip", f"{machine.round_trip * 1000:.1f} ms"

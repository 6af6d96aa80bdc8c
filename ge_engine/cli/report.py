"""`ge report`: a run as one HTML page, and as figures."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ge_engine.api import Run, open_run
from ge_engine.cli.options import BlockedPlugins, PluginModules
from ge_engine.views.console import out


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write it; RUN/report.html."),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write every plot as PNG and SVG into this folder."),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Serve it on this machine while the run is going on; Ctrl-C ends."),
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of --follow; 0: any that is free.")] = 0,
    plugin: PluginModules = None,
    no_plugin: BlockedPlugins = None,
) -> None:
    """Write a run as one HTML file: front, progress, checks, what worked, lineage, and every child's diff.

    Example: ge report runs/demo --open
    """
    if follow:
        _serve(open_run(run), port, show, plugins=plugin or (), no_plugins=no_plugin or ())
        return
    page, *drawn = open_run(run).report(output, figures, plugins=plugin or (), no_plugins=no_plugin or ())
    out.print(Text(f"wrote {page}"))
    if figures is not None:
        out.print(Text(f"wrote {len(drawn)} figures to {figures}"))
    if show:
        webbrowser.open(page.resolve().as_uri())


def _serve(run: Run, port: int, show: bool, **parts: Iterable[str]) -> None:
    with run.server(port, **parts) as server:
        out.print(Text(f"{server.url} shows {run.folder} as it grows; Ctrl-C ends."))
        if show:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            out.print("ended")

"""`ge export`: an individual as an ordinary Python file, as a patch, or where it belongs in a repository."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ge_engine.api import Run
from ge_engine.cli import options as o
from ge_engine.errors import ConfigError
from ge_engine.runs.references import split_reference
from ge_engine.views.console import err, out


def export(
    individual: Annotated[str, o.individual("The individual to write.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="DIR", help="To its place in this repository or project."),
    ] = None,
    commit: Annotated[
        bool, typer.Option("--commit", help="To a new branch; nothing is checked out.")
    ] = False,
    branch: Annotated[
        str, typer.Option("--branch", metavar="NAME", help="Its name; by default ge/RUN-ID.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    weights: Annotated[
        bool, typer.Option("--weights", help="With its kept weights, as a new folder.")
    ] = False,
    patch: Annotated[bool, typer.Option("--patch", help="What changed, as a patch for git apply.")] = False,
    header: Annotated[bool, typer.Option(help="Put a comment on top: where it came from.")] = True,
) -> None:
    """Write an individual as a Python file, with its weights, as a patch or commit, or to its place.

    Examples:

      ge export runs/demo:g1s3 -o better.py

      ge export runs/demo:g1s3 --into .

      ge export runs/demo:g1s3 --commit

      ge export runs/demo:g1s3 --patch -o better.patch
    """
    folder, identity = split_reference(individual)
    _require_one_way(output, into, commit, branch, weights, patch)
    if into is not None:
        _write_into(folder, identity, into, force)
    elif commit:
        _commit(folder, identity, branch)
    elif output is None:
        raise ConfigError("Nothing says where to write it.", "Give -o FILE, --into DIR or --commit.")
    elif patch:
        _write_patch(folder, identity, output, force, header)
    elif weights:
        Run(folder).export_trained(identity, output)
        out.print(f"wrote {output}: the model, its weights, and predict.py")
    else:
        Run(folder).export(identity, output, force=force, header=header)
        out.print(f"wrote {output}")


def _require_one_way(
    output: Path | None, into: Path | None, commit: bool, branch: str, weights: bool, patch: bool
) -> None:
    """Raises ConfigError where flags ask for different things."""
    if weights and patch:
        raise ConfigError("--weights and --patch write different things.", "Give one of the two.")
    given = {"--output": output, "--into": into, "--commit": commit}
    ways = [flag for flag, value in given.items() if value]
    if len(ways) > 1:
        raise ConfigError(f"{' and '.join(ways)} write to different places.", "Give one of them.")
    if (weights or patch) and ways not in ([], ["--output"]):
        raise ConfigError(f"{ways[0]} writes neither --weights nor --patch.", "Give -o with them.")
    if branch and not commit:
        raise ConfigError("--branch names the branch of --commit.", "Give both.")


def _write_patch(folder: Path, identity: str, output: Path, force: bool, header: bool) -> None:
    patch = Run(folder).export_patch(identity, output, force=force, header=header)
    out.print(f"wrote {output}; apply it with")
    _print_command("git", "-C", str(patch.root), "apply", str(output.absolute()))
    for path in patch.stale:
        told = f"{path} is not there as the run read it: the patch may not apply."
        err.print(Text(told, style="yellow"))


def _write_into(folder: Path, identity: str, into: Path, force: bool) -> None:
    for one in Run(folder).export_into(identity, into, force=force):
        out.print(Text(f"wrote {one.path}"))
        if one.kept:
            out.print(Text(f"what stood there is {one.kept} now", style="yellow"))


def _commit(folder: Path, identity: str, branch: str) -> None:
    made = Run(folder).export_commit(identity, branch=branch)
    out.print(Text(f"committed {', '.join(made.paths)} to the new branch {made.branch}; see it, or take it:"))
    _print_command("git", "-C", str(made.root), "show", made.branch)
    _print_command("git", "-C", str(made.root), "merge", made.branch)


def _print_command(*words: str) -> None:
    out.print(Text(shlex.join(words), style="cyan"), soft_wrap=True)

"""Assembles the commands and turns every error into one message and an exit code.

Exit codes: 0 done, 1 `ge diff` found a difference, or no child of `ge evolve` or `ge add` has a score,
2 a mistake that the message explains, 70 a fault of ours, 130 interrupted.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import cache
from typing import Annotated

import typer
from typer.main import get_command

from ge_engine import __version__
from ge_engine.cli.ablate import ablate
from ge_engine.cli.add import add
from ge_engine.cli.blame import blame
from ge_engine.cli.blocks import blocks
from ge_engine.cli.command import Command, Group
from ge_engine.cli.compare import compare
from ge_engine.cli.completion import colons_in_bash
from ge_engine.cli.diff import diff
from ge_engine.cli.doctor import doctor
from ge_engine.cli.evolve import evolve
from ge_engine.cli.export import export
from ge_engine.cli.git_diff import git_diff
from ge_engine.cli.init import init
from ge_engine.cli.log import log
from ge_engine.cli.options import current_flag
from ge_engine.cli.plugin import plugin
from ge_engine.cli.plugins import plugins
from ge_engine.cli.report import report
from ge_engine.cli.rescore import rescore
from ge_engine.cli.resume import resume
from ge_engine.cli.show import show
from ge_engine.cli.train import train
from ge_engine.errors import GeError
from ge_engine.views.console import err, out, print_error

PROGRAM = "ge"
app = typer.Typer(
    name=PROGRAM,
    cls=Group,
    help="Evolve a PyTorch model file: a language model rewrites one block at a time, training scores it.\n\n"
    "Example: ge evolve examples/plain_cnn.py",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "token_normalize_func": current_flag},
)
COMMANDS = (
    *(evolve, resume, init, add, rescore, train, blocks, diff, git_diff, blame, log, show, report, export),
    *(compare, ablate, plugins, doctor),
)
for command in COMMANDS:
    app.command(cls=Command)(command)
app.add_typer(plugin, name="plugin")


def _version(asked: bool) -> None:
    if asked:
        out.print(f"ge_engine {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of `ge` itself."""


@cache
def _commands() -> Callable[..., object]:
    """The command line, put together once: typer reads the signatures of all commands for it."""
    return get_command(app)


def main() -> None:
    """Run the command line; never show a traceback."""
    try:
        with colons_in_bash():
            _commands()(prog_name=PROGRAM)
    except GeError as error:
        print_error(error)
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        print_error(_report(error))
        sys.exit(70)


def _report(error: Exception) -> GeError:
    with tempfile.NamedTemporaryFile("w", prefix="ge-fault-", suffix=".txt", delete=False) as file:
        file.write("".join(traceback.format_exception(error)))
    return GeError(
        f"This is a fault of ge_engine, not yours: {type(error).__name__}: {error}.",
        f"Please report it with the file {file.name}.",
    )

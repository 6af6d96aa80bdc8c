"""Mistakes of the user or of the surroundings, each with what to do next.

The command line prints a `GeError` as one message without a traceback and leaves with code 2.
An expected failure of a candidate is no exception: see `ge_engine.outcome`.
"""

from __future__ import annotations

import os
import traceback

ENGINE = os.path.dirname(os.path.abspath(__file__)) + os.sep
PACKAGES = "site-packages"


class GeError(Exception):
    """One clear sentence (`message`) and, where there is one, the next step (`hint`)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(f"try: {hint}")


class ConfigError(GeError):
    """An unknown key, preset, plugin name or a value out of range."""


class SeedError(GeError):
    """The seed model cannot be read, has no blocks, or does not build, run or train."""


class OtherInputError(SeedError):
    """The seed model seems to take another kind of input than the task gives: tokens, not images."""


class PluginError(GeError):
    """A plugin cannot be loaded, breaks its contract, or shares a name with another."""


class EvaluationError(GeError):
    """What scores the run fails on one child after the other."""


class TrainingError(GeError):
    """An individual cannot be trained to the end."""


class LedgerError(GeError):
    """The run's database is locked, damaged, of another seed model, or cannot be written."""


class ModelError(GeError):
    """The language model cannot be found, loaded or reached."""


def with_place(error: BaseException) -> str:
    """An exception of a plugin's code in words, with file and line where that is known: of the last place in
    the plugin, whatever it called."""
    place = _place(error)
    return f"{error!r} ({place})" if place else repr(error)


def _place(error: BaseException) -> str:
    frames = [one for one in traceback.extract_tb(error.__traceback__) if not one.filename.startswith(ENGINE)]
    if not frames:
        return ""
    home = os.path.dirname(frames[0].filename)
    alone = os.path.basename(home) == PACKAGES
    near = frames[0].filename if alone else home + os.sep
    last = [one for one in frames if one.filename.startswith(near)][-1]
    return f"{last.filename}, line {last.lineno}"

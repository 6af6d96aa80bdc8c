"""How a program tells its figures: in its last line, in a file, or somewhere in what it prints."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ge_engine.errors import ConfigError
from ge_engine.evaluation.matching import FLAGS, EndlessError, last_matches
from ge_engine.outcome import LONGEST_FEEDBACK, Failed, Outcome, Scored, figures_in, storable

LAST_LINE_BYTES, SEARCHED_BYTES, FILE_BYTES = 64 * 2**10, 2**20, 2**20
"""How much is read: of the end of the output for its last line and for expressions, and of a file."""
RESERVED = ("errors", "feedback")
"""What a program's or a function's answer holds besides figures."""
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")


class _UntoldError(Exception):
    """Figures that a program did not tell, in words for its outcome."""


@dataclass(frozen=True, slots=True)
class FigureReader:
    """Reads a program's figures: what `patterns` (expressions by name) match, before what stands in `file`,
    where there is one, else in the last line."""

    objectives: Sequence[str]
    patterns: Mapping[str, str] = field(default_factory=dict)
    file: PurePosixPath | None = None

    @classmethod
    def of(
        cls, objectives: Sequence[str], metrics: Sequence[str] = (), metrics_file: str = ""
    ) -> FigureReader:
        """Raises ConfigError as `parse_metrics` and `parse_file`."""
        return cls(tuple(objectives), parse_metrics(metrics), parse_file(metrics_file))

    def read(self, stdout: Path, stderr: Path, folder: Path) -> Outcome:
        """The outcome of a program that ended well, by what it printed and left in `folder`."""
        try:
            told = self._told(stdout, folder)
            return outcome_of({**told, **self._matched(stdout, stderr)}, self.objectives, self._where)
        except _UntoldError as why:
            return Failed("command", "error", str(why))

    @property
    def _where(self) -> str:
        return str(self.file) if self.file else "its last line"

    def _told(self, stdout: Path, folder: Path) -> Mapping[str, Any]:
        if self.file is not None:
            return _object(_content(folder / self.file, str(self.file)), str(self.file))
        line = last_line(tail(stdout, LAST_LINE_BYTES))
        if self.patterns.keys() >= set(self.objectives) and not line.startswith("{"):
            return {}
        return _object(line, "its last line")

    def _matched(self, stdout: Path, stderr: Path) -> dict[str, float]:
        if not self.patterns:
            return {}
        texts = [tail(stdout, SEARCHED_BYTES), tail(stderr, SEARCHED_BYTES)]
        try:
            found = last_matches(self.patterns, texts)
        except EndlessError as error:
            named = ", ".join(self.patterns)
            raise _UntoldError(f"looking for {named} in what it printed takes {error}") from error
        return {name: _number(name, pattern, found.get(name)) for name, pattern in self.patterns.items()}


def parse_metrics(specs: Sequence[str]) -> dict[str, str]:
    """Regular expressions by the name of the figure that they find, from NAME=REGEX each.

    Raises:
        ConfigError: another form, a name twice, or an expression that is none or has not one group.
    """
    patterns: dict[str, str] = {}
    for spec in specs:
        named, _, pattern = spec.partition("=")
        name = named.strip()
        if not name or not pattern or name in RESERVED:
            raise ConfigError(
                f"The metric {spec!r} is not of the form NAME=REGEX.", f"For example {_example('val_loss')}."
            )
        if name in patterns:
            raise ConfigError(f"The metric {name!r} is given twice.", "Leave one of the two out.")
        patterns[name] = _checked(name, pattern)
    return patterns


def parse_file(name: str) -> PurePosixPath | None:
    """The place of a file of figures below a folder of the program's; None for "". Raises ConfigError on one
    that lies elsewhere."""
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts or (name and not place.parts):
        raise ConfigError(
            f"The file of figures {name!r} does not lie in the program's own folder.",
            "Give its path from there: --metrics-file results.json.",
        )
    return place if name else None


def _checked(name: str, pattern: str) -> str:
    try:
        groups = re.compile(pattern, FLAGS).groups
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(
            f"The regular expression {pattern!r} of the metric {name!r} cannot be read: {error}.",
            f"For example {_example(name)}.",
        ) from error
    if groups != 1:
        raise ConfigError(
            f"The regular expression {pattern!r} of the metric {name!r} has {groups} groups, and wants one.",
            f"Put ( and ) around the number alone, (?: and ) around anything else: {_example(name)}.",
        )
    return pattern


def _example(name: str) -> str:
    spec = rf"{name}={name}: (\S+)"
    return f"--metric {shlex.quote(spec)}"


def _number(name: str, pattern: str, text: str | None) -> float:
    if text is None:
        raise _UntoldError(f"nothing that it printed matches {pattern!r:.200}, by which {name!r} is found")
    plain = text.strip()
    try:
        return float(plain.replace(",", "") if THOUSANDS.fullmatch(plain) else plain)
    except ValueError as error:
        raise _UntoldError(f"{name!r} is no number in what it printed: {text!r:.100}") from error


def _content(file: Path, name: str) -> str:
    """The text of a plain file. One that is a pipe or a link, or is too large, is not read."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as held:
            plain = stat.S_ISREG(os.fstat(handle).st_mode)
            content = held.read(FILE_BYTES + 1) if plain else b""
    except OSError as error:
        raise _UntoldError(f"it has left no file {name!r} that can be read: {error.strerror}") from error
    if not plain or len(content) > FILE_BYTES:
        raise _UntoldError(f"{name!r} is no plain file of at most {FILE_BYTES // 2**20} MiB")
    return content.decode("utf-8", "replace")


def read_scores(output: str, objectives: Sequence[str]) -> Outcome:
    """The outcome in the last line of a program's output; see `outcome_of`."""
    try:
        return outcome_of(_object(last_line(output), "its last line"), objectives, "its last line")
    except _UntoldError as why:
        return Failed("command", "error", str(why))


def outcome_of(said: Mapping[str, Any], objectives: Sequence[str], where: str) -> Outcome:
    """The outcome in an object with a number for each objective, "errors" (the standard errors of some, by
    name) where the program knows them, and "feedback" (text) if it has something to say to the next prompt.
    Other finite numbers are kept as figures besides. `where` the object stood is told of what it lacks."""
    scores = {}
    for name in objectives:
        value = said.get(name)
        if not isinstance(value, float):
            shown = json.dumps(said, default=str)
            return Failed("command", "error", f"{where} has no number for {name!r}: {shown[:100]!r}")
        if not math.isfinite(value):
            return Failed("command", "not finite", f"{name} is {value}")
        scores[name] = value
    feedback, errors = said.get("feedback"), said.get("errors") or {}
    if not isinstance(errors, Mapping):
        return Failed("command", "error", f'"errors" is no JSON object of numbers by name: {errors!r:.100}')
    details: dict[str, Any] = (
        {"feedback": storable(feedback[:LONGEST_FEEDBACK])} if isinstance(feedback, str) else {}
    )
    besides = figures_in(said, objectives)
    return Scored(scores, details | ({"figures": besides} if besides else {}), errors)


def _object(text: str, where: str) -> Mapping[str, Any]:
    """A JSON object. A number that no float can hold, of however many digits, is as infinite as one that says
    so."""
    try:
        said: Any = json.loads(text, parse_int=float) if text else None
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, Mapping):
        raise _UntoldError(f"{where} is no JSON object: {text[:100]!r}")
    return said


def last_line(output: str) -> str:
    """The last line with anything in it; "" without one."""
    lines = output.strip().splitlines()
    return lines[-1] if lines else ""


def tail(file: Path, most: int) -> str:
    """The text at the end of a file, of so many bytes."""
    with file.open("rb") as held:
        held.seek(max(0, file.stat().st_size - most))
        return held.read().decode("utf-8", "replace")

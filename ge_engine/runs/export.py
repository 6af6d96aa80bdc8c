"""An individual as an ordinary Python file whose head says where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ge_engine.atomic_file import write_whole
from ge_engine.errors import ConfigError
from ge_engine.ledger.history import History
from ge_engine.ledger.parts import part_of
from ge_engine.ledger.replicates import spreads
from ge_engine.ledger.versions import ENGINE
from ge_engine.notation import written
from ge_engine.outcome import INHERITED, Scored
from ge_engine.population import Child
from ge_engine.runs.references import require_genome
from ge_engine.views.console import one_line

LONGEST = 1000
"""Characters of a line that says where an individual came from, at most."""


def write_new(path: Path, content: bytes, force: bool) -> Path:
    """Write a file. Raises ConfigError: it exists, and nothing says that it may be overwritten."""
    if path.exists() and not force:
        raise _exists(path)
    write_whole(path, content)
    return path


def _exists(path: Path) -> ConfigError:
    return ConfigError(
        f"The file {path} exists.",
        "Choose another name, or overwrite it with --force (force=True from Python).",
    )


def rescored_line(history: History, identity: str) -> str:
    """What training with further random seeds gave; "" without it."""
    found = spreads(history).get(identity)
    told = found.told(history.notations) if found else ""
    return f"With further random seeds: {told}." if told else ""


def validation_words(one: Child) -> str:
    """What the figures are by which the run selected the individual."""
    inherited = isinstance(one.outcome, Scored) and INHERITED in one.outcome.figures
    return "Validation, begun with its parent's weights" if inherited else "Validation"


def origin(one: Child, history: History) -> list[str]:
    """Where an individual came from: the engine, its parents and what was done, its figures; a line each,
    whatever a run database that somebody else made holds."""
    remark = rescored_line(history, one.id)
    scores = written(one.objectives, history.notations, one.errors)
    how = "; ".join(f"{s.operator} ({s.intent}) of {s.address}" for s in one.steps)
    lines = [f"Evolved by {engine_of(history, one)}: {history.folder.name}:{one.id}"]
    lines += [f"Parents: {', '.join(one.parents)}. {how}."] if one.parents else []
    lines += [f"{validation_words(one)}: {scores}."] if scores else []
    return [one_line(line, LONGEST) for line in [*lines, *([remark] if remark else [])]]


def exported(one: Child, history: History, header: bool) -> dict[str, bytes]:
    """The files of an individual by name, "" for the only one; those that it changed with a head, where asked
    for."""
    seeds = history.seed.files
    return {
        name: with_header(file.source, one, history, seeds[name].newline)
        if header and (not name or file.source != seeds[name].source)
        else file.source
        for name, file in require_genome(one).files.items()
    }


def write_files(folder: Path, files: Mapping[str, bytes], force: bool) -> Path:
    """Write files at their places below a folder, once all of their folders are there. Raises ConfigError:
    one exists, and nothing says that it may be overwritten; or a folder is a file or cannot be made."""
    if folder.is_file() or folder.suffix == ".py":
        raise ConfigError(
            f"The individual has several files: {', '.join(files)}.", "Name a folder to write them into."
        )
    if not force and (there := next((folder / name for name in files if (folder / name).exists()), None)):
        raise _exists(there)
    for place in {(folder / name).parent for name in files}:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"The folder {place} cannot be made: {error.strerror}.", "Choose another --output."
            ) from error
    for name, content in files.items():
        write_whole(folder / name, content)
    return folder


def with_header(source: bytes, one: Child, history: History, newline: str) -> bytes:
    """A comment after the byte order mark, the interpreter line and the encoding line, where they stand."""
    lines = [f"# {line}" for line in origin(one, history)]
    kept = source.splitlines(keepends=True)
    top = 0
    while top < min(2, len(kept)) and kept[top].removeprefix(b"\xef\xbb\xbf").startswith(
        (b"#!", b"# -*-", b"# coding", b"#coding")
    ):
        top += 1
    before = b"".join(kept[:top])
    if top == 0 and source.startswith(b"\xef\xbb\xbf"):
        before, kept[0] = b"\xef\xbb\xbf", kept[0][3:]
    return before + "".join(line + newline for line in lines).encode() + b"".join(kept[top:])


def engine_of(history: History, one: Child) -> str:
    """The engine with the version that generated the individual, which need not be this one."""
    part = part_of(history, one.id)
    return f"ge_engine {part.making.versions.get(ENGINE, '')}".rstrip() if part else "ge_engine"

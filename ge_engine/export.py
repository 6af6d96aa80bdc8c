"""An individual as an ordinary Python file whose head says where it came from."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ge_engine.errors import ConfigError
from ge_engine.population import Child
from ge_engine.store.history import History
from ge_engine.store.parts import part_of
from ge_engine.store.replicates import plain, spreads
from ge_engine.versions import ENGINE


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` so that a reader sees the old file or the new one, never half of it.

    Raises:
        ConfigError: the folder does not exist or cannot be written.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, 0o644)
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise ConfigError(
            f"The file {path} cannot be written: {error.strerror}.", "Choose another --output."
        ) from error


def rescored_line(history: History, identity: str) -> str:
    """What training with further seeds gave; "" without it."""
    found = spreads(history).get(identity)
    return f"With further seeds: {plain(found)}." if found and plain(found) else ""


def with_header(source: bytes, one: Child, history: History) -> bytes:
    """A comment after the byte order mark, the interpreter line and the encoding line, where they stand."""
    newline, remark = history.seed.newline, rescored_line(history, one.id)
    scores = ", ".join(f"{name} {value:g}" for name, value in one.objectives.items())
    how = "; ".join(f"{s.operator} ({s.intent}) of {s.address}" for s in one.steps)
    lines = [f"# Evolved by {_engine_of(history, one)}: {history.folder.name}:{one.id}"]
    lines += [f"# Parents: {', '.join(one.parents)}. {how}."] if one.parents else []
    lines += [f"# Validation: {scores}."] if scores else []
    lines += [f"# {remark}"] if remark else []
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


def _engine_of(history: History, one: Child) -> str:
    """The engine with the version that bred the individual, which need not be this one."""
    part = part_of(history, one.id)
    return f"ge_engine {part.making.versions.get(ENGINE, '')}".rstrip() if part else "ge_engine"

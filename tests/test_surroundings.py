"""Runs on read-only media and full disks, file systems without locks, kernels that show less.

Those marked `world` mount what they need in a namespace of their own; the others have errors put in."""

from __future__ import annotations

import builtins
import errno
import fcntl
import os
import pty
import shutil
import sqlite3
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from ge_engine.errors import LedgerError
from ge_engine.evaluation.sandbox import limits
from ge_engine.evaluation.sandbox.environment import clean_environment
from ge_engine.ledger import History, database
from ge_engine.ledger.runlock import RunLock
from tests.sampled import everyday

FINISHED = Path(__file__).parent / "ledgers" / "schema_3"
CUT = """\
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("UPDATE seed SET source = CAST(source || x'0a' AS BLOB)")
os._exit(0)
"""


def run_in(folder: Path, *, cut: bool) -> Path:
    """A run that has ended, or one whose writer was killed: its last rows lie beside the database."""
    shutil.copytree(FINISHED, folder)
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        db.execute("PRAGMA journal_mode = WAL")
    db.close()
    if cut:
        subprocess.run([sys.executable, "-c", CUT, folder / "ledger.sqlite"], check=True)
    assert (folder / "ledger.sqlite-wal").exists() == cut
    return folder


@pytest.mark.parametrize("cut", [False, True], ids=["finished", "cut off"])
@pytest.mark.parametrize("name", ["SQLITE_CANTOPEN", "SQLITE_READONLY_DIRECTORY", "SQLITE_IOERR_SHMSIZE"])
def test_a_run_that_can_only_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, cut: bool
) -> None:
    run, opened, rows = run_in(tmp_path / "run", cut=cut), database._opened, database.version_of
    with History(FINISHED) as history:
        whole = history.seed.source

    def refusing(path: Path, how: str) -> sqlite3.Connection:
        refused.add(how)
        return opened(path, how)

    def version_of(db: sqlite3.Connection) -> int:
        if refused <= {"mode=rw", "mode=ro"} and refused:
            refused.add("refused")
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorname = name
            raise error
        return rows(db)

    refused = set[str]()
    monkeypatch.setattr(database, "_opened", refusing)
    monkeypatch.setattr(database, "version_of", version_of)
    with History(run) as history:
        assert history.seed.source == whole + b"\n" * cut
        assert list(history.individuals())
    assert ("immutable=1" in refused) == (not cut)


def test_a_full_disk_that_is_called_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_in(tmp_path / "run", cut=True)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copy", full)
    with pytest.raises(LedgerError, match="cut off, and there is no room"):
        database._copied(run / "ledger.sqlite")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_that_is_called_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def lockf(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "lockf", lockf)
    with pytest.raises(LedgerError, match="has no file locks") as refused:
        RunLock(tmp_path)
    assert "--run" in str(refused.value.hint)


@pytest.mark.parametrize("error", [OSError(errno.EROFS, "read-only"), FileNotFoundError()])
def test_a_kernel_that_shows_less_and_ends_every_training(
    monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(builtins, "open", refuse)
    limits.prefer_to_kill()


def test_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOGNAME", raising=False)
    assert clean_environment()["LOGNAME"]


@pytest.mark.parametrize("encoding", everyday(["ascii", "latin-1", "cp1252"], "ascii"))
def test_an_output_that_cannot_hold_every_character(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "ge_engine.cli", "log", FINISHED],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert done.returncode == 0
    assert ("mean \\xb1" if encoding == "ascii" else "mean \xb1") in done.stdout.decode(encoding)


def test_a_narrow_terminal_that_shows_neither_ids_nor_outcomes() -> None:
    engine, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 40))
    words = [sys.executable, "-m", "ge_engine.cli", "log", str(FINISHED)]
    with subprocess.Popen(
        words, stdout=terminal, stderr=terminal, env={**os.environ, "TERM": "xterm"}
    ) as done:
        os.close(terminal)
        said = b""
        while part := _read(engine):
            said += part
    assert done.returncode == 0
    lines = said.decode().splitlines()
    assert any("g3s0" in line and "accuracy 22.22 %" in line for line in lines)


def _read(descriptor: int) -> bytes:
    """What there is; b"" when the other end is closed, which Linux tells by an error."""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""


READ = "from ge_engine.cli.app import main; import sys; sys.argv[1:] = ['log', {run!r}, '--check']; main()"


@pytest.mark.world
@pytest.mark.parametrize("cut", [False, True], ids=["finished", "cut off"])
@pytest.mark.parametrize(
    "mounted",
    [
        "mount --bind {0} {0} && mount -o remount,ro,bind {0}",
        "mkdir {0}/full && mount -t tmpfs -o size=400k none {0}/full && cp {0}/run/* {0}/full/"
        " && rm -f {0}/full/*-shm && mount --move {0}/full {0}/run; head -c 1M /dev/zero > {0}/run/pad",
    ],
    ids=["read-only", "full"],
)
def test_a_run_on_media_that_cannot_be_written(tmp_path: Path, mounted: str, cut: bool) -> None:
    run = run_in(tmp_path / "run", cut=cut)
    code = READ.format(run=str(run))
    script = f"{mounted.format(tmp_path)}; exec {sys.executable} -c {code!r}"
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, check=False)
    assert "the run database is sound" in done.stdout, done.stderr

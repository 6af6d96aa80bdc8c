"""A run of the doubles' seed model, and repositories that its file stands in."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path

import doubles

from ge_engine import Run, loop
from ge_engine.genome import Seed
from ge_engine.runs.references import require_genome

PLACE = "src/nets/model.py"


def git(folder: Path, *words: str, given: bytes = b"") -> bytes:
    """What git prints, which has to succeed."""
    done = subprocess.run(["git", *words], cwd=folder, input=given, capture_output=True)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


@dataclass(frozen=True)
class Made:
    """A finished run's folder, a scored child of it, and the child's file."""

    folder: Path
    child: str
    wanted: bytes


def made_run(folder: Path, source: bytes = doubles.SEED) -> Made:
    """A run of the doubles' seed model, read at `PLACE`."""
    seed = Seed.from_bytes(source, Path(PLACE))
    config = doubles.config(llm="scripted:good", generations=2, population=4)
    loop.run(seed, config, doubles.registry(), folder, lambda *_: None)
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        db.execute("PRAGMA journal_mode = DELETE")
    db.close()
    child = [one for one in Run(folder).individuals if one.parents and one.scored][-1]
    return Made(folder, child.id, require_genome(child).source)


@dataclass(frozen=True)
class Home:
    """A folder with the seed model's file and a run of it."""

    root: Path
    run: Path
    child: str
    wanted: bytes
    place: str = PLACE

    @property
    def file(self) -> Path:
        return self.root / self.place

    @property
    def individual(self) -> str:
        return f"{self.run}:{self.child}"


def home_of(made: Made, root: Path, place: str = PLACE, source: bytes = doubles.SEED) -> Home:
    """The file at `place` below `root`, and beside them the run, which read it there."""
    home = Home(root, root.parent / "demo", made.child, made.wanted, place)
    home.file.parent.mkdir(parents=True)
    home.file.write_bytes(source)
    shutil.copytree(made.folder, home.run)
    set_path(home.run, place)
    return home


def set_path(run: Path, path: str) -> None:
    """Change where a run says that it read its file."""
    with sqlite3.connect(run / "ledger.sqlite") as db:
        db.execute("UPDATE seed SET path = ?", (path,))
    db.close()


def begin(root: Path, *settings: str) -> None:
    """A repository at `root` with settings of the form NAME=VALUE, and all its files in one commit."""
    git(root, "init", "-q", "-b", "main")
    for name, _, value in (one.partition("=") for one in ("user.name=Ada", "user.email=a@b.c", *settings)):
        git(root, "config", name, value)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "begin")

"""A run of several files by the real command line: begun, recorded, resumed, told, exported; and bad input."""

# ruff: noqa: E501

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import doubles
import pytest
from conftest import Ge
from several_files import EVOLVED, FILES, package, seed_in
from test_adding import DOUBLES
from test_report_page import Reader, unpacked

from ge_engine import loop
from ge_engine.api import new_folder
from ge_engine.errors import LedgerError, SeedError
from ge_engine.ledger import History, Ledger
from ge_engine.ledger.foreign import confirmed
from ge_engine.report.data import read_run
from ge_engine.runs.audit import check

ALSO = [word for name in EVOLVED[1:] for word in ("--also", f"pkg/{name}")]
SHORT = ["--llm", "scripted:good", "--operators", "mutation", "--operators", "mating", "--generations", "3"]
SHORT += ["--population", "8", "--rescore-seeds", "0", "--checks", "seen"]
REGISTRY = doubles.registry("joint_doubles")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package and a run of it, begun by `ge evolve`."""
    folder = tmp_path_factory.mktemp("several")
    package(folder)
    words = ["evolve", "pkg/net.py", *ALSO, *SHORT, *DOUBLES, "--run", "run"]
    here = str(Path(__file__).resolve().parent)
    done = subprocess.run(
        [sys.executable, "-m", "ge_engine.cli", *words],
        cwd=folder, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def there(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, which is the working folder."""
    shutil.copytree(made, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def changed_in(folder: Path) -> dict[str, list[str]]:
    """By individual with code of its own: the files that it changes."""
    with History(folder) as history:
        seeds = history.seed.files
        return {
            one.id: [name for name, file in one.genome.files.items() if file.source != seeds[name].source]
            for one in history.individuals()
            if one.genome and one.parents
        }


def child_of(folder: Path, file: str) -> str:
    """The first child that changes a file."""
    return next(name for name, files in changed_in(folder).items() if file in files)


def content(folder: Path) -> Mapping[str, Any]:
    with History(folder) as history:
        return history.content()


# --- a run ------------------------------------------------------------------------------------------


def test_a_run_that_changes_one_file_alone_or_is_recorded_otherwise(made: Path) -> None:
    changed = {file for files in changed_in(made / "run").values() for file in files}
    assert len(changed) >= 3, changed
    assert check(made / "run") == []
    with History(made / "run") as history:
        assert history.seed.sources == tuple((name, FILES[name]) for name in EVOLVED)
        mated = [one for one in history.individuals() if any(step.operator == "mating" for step in one.steps)]
        assert mated
        addresses = {step.address for one in history.individuals() for step in one.steps}
    assert all("::" in address for address in addresses if address)


class Stop(Exception):
    pass


def test_a_killed_run_of_several_files_that_ends_otherwise(tmp_path: Path) -> None:
    seed = seed_in(tmp_path)
    config = doubles.config(generations=2, population=5, llm="scripted:mixed")
    loop.run(seed, config, REGISTRY, tmp_path / "whole", lambda *_: None)
    for left in (2, 5, 9, 10**9):
        count = [left]

        def crash(name: str, _: Mapping[str, Any], count: list[int] = count) -> None:
            count[0] -= name == "reply"
            if not count[0]:
                raise Stop

        try:
            loop.run(seed_in(tmp_path), config, REGISTRY, tmp_path / "cut", crash)
        except Stop:
            continue
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_a_replay_of_several_files_with_other_bytes(tmp_path: Path) -> None:
    seed = seed_in(tmp_path)
    for name, llm in (("run", "scripted:mixed"), ("again", f"replay:{tmp_path / 'run'}")):
        loop.run(
            seed,
            doubles.config(generations=2, population=5, llm=llm),
            REGISTRY,
            tmp_path / name,
            lambda *_: None,
        )
    told = []
    for name in ("run", "again"):
        with History(tmp_path / name) as history:
            told.append(
                [
                    one.genome and {n: f.source for n, f in one.genome.files.items()}
                    for one in history.individuals()
                ]
            )
    assert told[0] == told[1]


@pytest.mark.parametrize("file", EVOLVED)
def test_a_run_that_goes_on_with_a_changed_file(there: Path, ge: Ge, file: str) -> None:
    before = content(there / "run")
    (there / "pkg" / file).write_bytes(FILES[file] + b"# mine\n")
    code, _, told = ge("evolve", "pkg/net.py", *ALSO, *SHORT, *DOUBLES, "--generations", "4", "--run", "run")
    assert code == 2
    assert "was made from another seed model" in " ".join(told.split())
    assert content(there / "run") == before


def test_a_run_of_fewer_files_that_is_gone_on_with(there: Path, ge: Ge) -> None:
    code, _, told = ge("evolve", "pkg/net.py", *ALSO[:4], *SHORT, *DOUBLES, "--run", "run")
    assert code == 2
    assert "was made from another seed model" in " ".join(told.split())


def test_a_run_whose_files_are_only_there_in_part(there: Path) -> None:
    """The whole seed model stands in its run database; none of it is looked for where one file is another."""
    with History(there / "run") as history:
        assert confirmed(history.seed) is history.seed
        (there / "pkg" / "config.py").write_bytes(b"WIDTH = 1\n")
        alone = confirmed(history.seed)
    assert alone.sources == history.seed.sources
    assert [one.path for one in alone.files.values()] == [None] * 4


@pytest.mark.parametrize(
    "words", [("resume", "run", *DOUBLES), ("rescore", "run", "--epochs", "2", *DOUBLES)]
)
def test_a_run_without_its_files_that_is_told_of_a_parent_package(
    there: Path, ge: Ge, words: tuple[str, ...]
) -> None:
    (there / "pkg" / "config.py").unlink()
    code, _, told = ge(*words)
    assert code == 2
    assert "The seed model's files are not all there as the run read them" in told
    assert "config.py" in told


def test_files_that_were_moved_apart_and_run_as_one_seed_model(there: Path) -> None:
    """One was named by its absolute path, and the folder was copied: the copy would import its own."""
    elsewhere = package(there / "elsewhere") / "blocks.py"
    database = sqlite3.connect(there / "run" / "ledger.sqlite", isolation_level=None)
    database.execute("UPDATE files SET path = ? WHERE name = 'blocks.py'", (str(elsewhere),))
    database.close()
    with History(there / "run") as history:
        assert [one.path for one in confirmed(history.seed).files.values()] == [None] * 4


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE files SET name = '../net.py' WHERE rank = 1", "holds no seed model"),
        ("UPDATE files SET name = 'net.py' WHERE rank = 1", "holds no seed model"),
        ("UPDATE files SET source = 'text' WHERE rank = 1", "holds no seed model"),
        ("UPDATE files SET source = X'78203D2031' WHERE rank = 0", "holds no seed model"),
        ("UPDATE files SET source = X'78203D' WHERE rank = 2", "line 1"),
    ],
)
def test_a_strangers_run_database_whose_files_are_none(there: Path, statement: str, told: str) -> None:
    database = sqlite3.connect(there / "run" / "ledger.sqlite", isolation_level=None)
    database.execute(statement)
    database.close()
    with pytest.raises((LedgerError, SeedError), match=told):
        History(there / "run")


def test_files_that_are_lost_when_a_run_begins_anew(tmp_path: Path) -> None:
    seed = seed_in(tmp_path)
    with Ledger.create(tmp_path / "run", doubles.seed(), doubles.config()) as ledger:
        ledger.begin_anew(seed, doubles.config())
    with History(tmp_path / "run") as history:
        assert history.seed.sources == seed.sources


# --- what the commands say ---------------------------------------------------------------------------


def test_a_command_that_does_not_say_in_which_file(there: Path, ge: Ge) -> None:
    child = child_of(there / "run", "heads/linear.py")
    for words, told in (
        (("blocks", "pkg/net.py", *ALSO, "--static"), "heads/linear.py::Head.forward"),
        (("blocks", "pkg/net.py", "--package", "--static"), "neighbour.py::normed"),
        (
            ("blocks", "pkg", "--entry", "pkg.net:Net", "--static", "--blocks", "heads/*::Head"),
            "heads/linear.py::Head",
        ),
        (("log", "run"), "heads/linear.py::Head"),
        (("show", f"run:{child}"), "heads/linear.py::Head"),
        (("diff", "run:seed", f"run:{child}"), "changed heads/linear.py::Head"),
        (("diff", "pkg", f"run:{child}"), "changed heads/linear.py::Head"),
        (("diff", "pkg/heads/linear.py", f"run:{child}"), "changed heads/linear.py::Head"),
        (("diff", f"run:{child}", "pkg/heads/linear.py"), "changed heads/linear.py::Head"),
        (("blame", f"run:{child}"), "heads/linear.py: "),
    ):
        code, out, err = ge(*words)
        assert code == (words[0] == "diff"), (words, err)
        assert told in out, (words, out)
    _, out, _ = ge("blame", f"run:{child}", "--json")
    assert {"heads/linear.py"} <= {json.loads(line)["file"] for line in out.splitlines()}
    _, out, _ = ge("show", f"run:{child}", "--json")
    assert list(json.loads(out)["code"]) == list(EVOLVED)
    _, out, _ = ge("show", f"run:{child}", "--code")
    assert [
        line for line in out.splitlines() if "code " in line and ".py" in line and line.startswith("\u2500")
    ] == [f"\u2500\u2500 code {name}" for name in EVOLVED]


def test_a_folder_without_files_that_is_compared(there: Path, ge: Ge) -> None:
    (there / "empty").mkdir()
    code, _, told = ge("diff", "empty", "run:seed")
    assert code == 2
    assert "There is no Python file in the folder empty." in told
    code, out, _ = ge("diff", "pkg", "run:seed")
    assert (code, "heads" in out) == (0, False), "the files that are not evolved are no difference"


def test_an_export_of_other_files_than_the_individuals(there: Path, ge: Ge) -> None:
    child = child_of(there / "run", "heads/linear.py")
    with History(there / "run") as history:
        one = history.individual(child)
    assert one is not None
    assert one.genome is not None
    wanted = {name: file.source for name, file in one.genome.files.items()}
    assert ge("export", f"run:{child}", "--no-header", "-o", "plain")[0] == 0
    assert {name: (there / "plain" / name).read_bytes() for name in EVOLVED} == wanted
    assert sorted(p.name for p in (there / "plain").rglob("*.py")) == [
        "blocks.py",
        "config.py",
        "linear.py",
        "net.py",
    ]
    assert ge("export", f"run:{child}", "-o", "told")[0] == 0
    for name in EVOLVED:
        text, changed = (there / "told" / name).read_bytes(), wanted[name] != FILES[name]
        assert (b"# Evolved by ge_engine" in text) is changed, name
        compile(text, name, "exec")
    assert (
        (there / "told" / "heads" / "linear.py")
        .read_bytes()
        .startswith(b"# -*- coding: latin-1 -*-\n# Evolved")
    )
    code, _, told = ge("export", f"run:{child}", "-o", "plain")
    assert (code, "exists" in told) == (2, True)
    code, _, told = ge("export", f"run:{child}", "-o", "one.py")
    assert (code, "several files" in told) == (2, True)


@pytest.mark.parametrize("output", ["taken/better", "half", "taken/deeper/better"])
def test_a_folder_that_cannot_be_made_or_an_export_in_part(there: Path, ge: Ge, output: str) -> None:
    (there / "taken").touch()
    (there / "half").mkdir()
    (there / "half" / "heads").touch()
    code, _, told = ge("export", f"run:{child_of(there / 'run', 'net.py')}", "-o", output)
    assert code == 2
    assert "cannot be made" in told
    assert [one.name for one in (there / "half").iterdir()] == ["heads"]


def test_a_git_patch_of_the_file_that_builds_the_model_alone(there: Path, ge: Ge) -> None:
    subprocess.run(["git", "init", "-q"], cwd=there, check=True)
    changed = changed_in(there / "run")
    child = max(changed, key=lambda name: len(changed[name]))
    assert len(changed[child]) > 1
    code, out, err = ge("export", f"run:{child}", "--patch", "-o", "better.patch")
    assert code == 0, err
    assert "may not apply" not in err
    assert f"git -C {there} apply" in " ".join(out.split())
    subprocess.run(["git", "apply", "--whitespace=nowarn", "better.patch"], cwd=there, check=True)
    with History(there / "run") as history:
        one = history.individual(child)
    assert one is not None
    assert one.genome is not None
    assert {name: (there / "pkg" / name).read_bytes() for name in EVOLVED} == {
        name: file.source for name, file in one.genome.files.items()
    }
    _, _, err = ge("export", f"run:{child}", "--patch", "-o", "better.patch", "--force")
    assert [name for name in EVOLVED if f"pkg/{name} is not there as the run read it" in err] == changed[
        child
    ]


def test_a_run_of_the_working_folder_that_has_no_name(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(there / "pkg")
    assert new_folder(".").name.startswith("pkg-")
    assert new_folder("net.py").name.startswith("net-")


def test_a_report_that_shows_a_block_of_another_file(there: Path, ge: Ge) -> None:
    assert ge("report", "run", "-o", "report.html")[0] == 0
    details = json.loads(unpacked(Reader((there / "report.html").read_text("utf-8")), "details"))
    names = [name for name, _ in details["seed"]]
    assert {name for name in names if "::" in name} >= {
        "net.py::Net",
        "config.py::WIDTH",
        "heads/linear.py::Head",
    }
    with History(there / "run") as history:
        data = read_run(history, ())
        told = {row.id: row.parts for row in data.rows if row.parts is not None}
    for one, files in changed_in(there / "run").items():
        parts = told[one]
        assert parts is not None
        assert list(dict.fromkeys(names[at].partition("::")[0] for at, _ in parts.replaced)) == files


def test_a_model_made_by_hand_that_changes_another_file(there: Path, ge: Ge) -> None:
    (there / "mine" / "heads").mkdir(parents=True)
    (there / "mine" / "heads" / "linear.py").write_bytes(
        FILES["heads/linear.py"].replace(b".relu()", b".tanh()")
    )
    code, out, err = ge("add", "run", "mine", *DOUBLES)
    assert code == 0, (out, err)
    with History(there / "run") as history:
        mine = list(history.individuals())[-1]
    assert mine.genome is not None
    assert changed_in(there / "run")[mine.id] == ["heads/linear.py"]
    assert mine.scored


def test_settings_that_lose_the_files(there: Path, ge: Ge) -> None:
    assert ge("init", "pkg/net.py", *ALSO, "-o", "mine.toml")[0] == 0
    code, _, err = ge("evolve", "pkg/net.py", "--config", "mine.toml", *SHORT, *DOUBLES, "--run", "fresh")
    assert code == 0, err
    with History(there / "fresh") as history:
        assert list(history.seed.files) == list(EVOLVED)
    code, _, err = ge("resume", "fresh", *DOUBLES, "--llm", "scripted:good", "--generations", "4")
    assert code == 0, err
    with History(there / "fresh") as history:
        assert history.next_generation() == 4

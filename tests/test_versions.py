"""With what each part of a run was made: kept, told, and asked about before it changes."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import doubles
import pytest
from typer.testing import CliRunner

import ge_engine
from ge_engine import evolve, loop, open_run
from ge_engine.cli.app import app
from ge_engine.config import CHECKS, RunConfig, config_from_dict, load_config
from ge_engine.errors import ConfigError
from ge_engine.ledger import Ledger, versions
from ge_engine.ledger.history import History
from ge_engine.ledger.parts import part_of, parts_of, scored_in
from ge_engine.ledger.versions import Making, differences, made_with
from ge_engine.outcome import Rejected, Scored
from ge_engine.registry import Registry, load_registry
from ge_engine.report import read_run
from ge_engine.runs.audit import check
from ge_engine.search.rescoring import OwnSettings
from ge_plugins.checks import ge_checks
from ge_plugins.probe_checks import ge_checks as ge_probe_checks

OLD = Path(__file__).resolve().parent / "ledgers" / "version_0_1_0"
"""A run of one generation of two children that version 0.1.0 made, and its seed."""
HERE = {"ge-engine": "0.2.0", "torch": "2.9.1+cpu", "libcst": "1.8.5"}
Pin = Callable[..., None]


@pytest.fixture
def pin(monkeypatch: pytest.MonkeyPatch) -> Pin:
    """Says which versions are installed."""

    def pinned(python: str = "3.12.1", **others: str) -> None:
        installed = {**HERE, **{name.replace("_", "-"): version for name, version in others.items()}}
        monkeypatch.setattr(versions, "_installed", installed.__getitem__)
        monkeypatch.setattr(versions.platform, "python_version", lambda: python)

    pinned()
    return pinned


def run(
    folder: Path, registry: Registry | None = None, allow: bool = False, **settings: Any
) -> doubles.Observer:
    observer, known = doubles.Observer(), registry or doubles.registry()
    loop.run(doubles.seed(), doubles.config(**settings), known, folder, observer, allow_changes=allow)
    return observer


def told(observer: doubles.Observer) -> str:
    (started,) = observer.of("run_started")
    return str(started["changes"])


def tables(folder: Path) -> list[tuple[Any, ...]]:
    """Everything that a run database holds, times included."""
    database = sqlite3.connect(folder / "ledger.sqlite")
    rows = [("version", *database.execute("PRAGMA user_version").fetchone())]
    for (table,) in database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1"
    ).fetchall():
        rows += [(table, *row) for row in database.execute(f"SELECT * FROM {table}").fetchall()]
    database.close()
    return rows


def shown(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


# --- what differs, and what of it matters ---------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "old", "new", "matters"),
    [
        ("ge-engine", "0.1.0", "0.1.1", True),
        ("ge-demo", "1.2.3", "1.2.4", True),
        ("ge-demo", None, "1.0", True),
        ("ge-demo", "1.0", None, True),
        ("torch", "2.8.0", "2.9.0", True),
        ("torch", "2.9.0", "3.9.0", True),
        ("torch", "2.9.0+cpu", "2.9.1+cu128", False),
        ("torch", "2.1.0", "2.10.0", True),
        ("libcst", "1.8.2", "1.9.0", True),
        ("libcst", "1.8.2", "1.8.5", False),
        ("python", "3.11.2", "3.11.9", False),
        ("python", "3.11.2", "3.12.0", True),
    ],
)
def test_a_version_that_can_change_results_and_is_only_said_or_the_other_way_round(
    name: str, old: str | None, new: str | None, matters: bool
) -> None:
    base = {"ge-engine": "0.1.0", "torch": "2.9.0", "libcst": "1.8.5", "python": "3.12.1"}

    def making(version: str | None) -> Making:
        kept = {**base, name: version}
        return Making({key: value for key, value in kept.items() if value is not None}, ("names",), {})

    (found,) = differences(making(old), making(new))
    assert found.matters is matters
    assert (old or "no") in found.was
    assert (new or "no") in found.now
    assert list(differences(making(old), making(old))) == []


def test_a_check_that_comes_or_goes_in_silence() -> None:
    base = {"torch": "2.9.0", "libcst": "1.8.5", "python": "3.12.1"}
    was, now = Making(base, ("names", "shape"), {}), Making(base, ("mine", "names"), {})
    found = list(differences(was, now))
    assert [(one.was, one.now) for one in found] == [
        ("no check 'mine'", "the check 'mine'"),
        ("the check 'shape'", "no check 'shape'"),
    ]
    assert all(one.matters for one in found)


def test_a_language_model_that_may_not_be_changed_because_of_its_plugin() -> None:
    base = {"torch": "2.9.0", "libcst": "1.8.5", "python": "3.12.1"}
    was, now = Making(base, (), {"ge-model": "1.0"}), Making(base, (), {"ge-model": "2.0", "ge-other": "1.0"})
    assert [(one.was, one.now, one.matters) for one in differences(was, now)] == [
        ("ge-model 1.0", "ge-model 2.0", False)
    ]


def test_a_version_that_is_not_the_installed_one() -> None:
    from importlib.metadata import version

    making = made_with(load_registry(), RunConfig())
    wanted = {name: version(name) for name in ("ge-engine", "torch", "libcst")}
    assert making.versions == {**wanted, "python": ".".join(map(str, sys.version_info[:3]))}
    assert making.versions["ge-engine"] == ge_engine.__version__
    assert making.is_whole


def test_a_plugin_at_hand_that_is_edited_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no version, so its file is its version; a plugin of which the run uses nothing has no part."""
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "ge_at_hand.py"
    text = """from ge_engine.hookspecs import hookimpl

class Never:
    name, kind, order = "never", "static", 1

    def check(self, candidate):
        return None

@hookimpl
def ge_checks():
    return [Never()]
"""
    file.write_text(text)
    registry = load_registry(["ge_at_hand"])
    assert "ge_at_hand" not in made_with(registry, RunConfig()).versions
    config = config_from_dict({"checks": ["built-in", "never"]})
    before = made_with(registry, config)
    assert made_with(registry, config) == before
    file.write_text(text.replace("return None", "return 1 / 0"))
    (found,) = differences(before, made_with(registry, config))
    assert found.matters
    assert found.was.startswith("ge_at_hand file ")


# --- checks by name -------------------------------------------------------------------------------


def test_a_built_in_check_that_no_run_has_in_force() -> None:
    built_in = [*ge_checks(), *ge_probe_checks()]
    assert sorted(CHECKS) == sorted(one.name for one in built_in)
    assert RunConfig().checks == CHECKS
    assert load_config("paper", None, {}).checks == tuple(name for name in CHECKS if name != "intent")


def test_checks_that_a_file_cannot_add_to_the_built_in_ones() -> None:
    assert config_from_dict({"checks": ["mine", "built-in", "names"]}).checks == ("mine", *CHECKS)
    assert config_from_dict({"checks": "names"}).checks == ("names",)
    assert config_from_dict({"checks": []}).checks == ()


def test_a_check_of_another_plugin_that_takes_part_unasked(tmp_path: Path) -> None:
    """Installing a plugin changes no run, neither a new one nor one that goes on."""
    run(tmp_path / "alone", generations=2)
    run(tmp_path / "gone-on", generations=1)
    assert told(run(tmp_path / "gone-on", doubles.registry("marked"), generations=2)) == ""
    run(tmp_path / "beside", doubles.registry("marked"), generations=2)
    with History(tmp_path / "alone") as alone:
        for name in ("gone-on", "beside"):
            with History(tmp_path / name) as other:
                for table in ("individuals", "survivors", "fronts"):
                    assert other.content()[table] == alone.content()[table], (name, table)


def test_checks_that_are_switched_and_check_nothing_else(tmp_path: Path) -> None:
    registry = doubles.registry("marked")
    run(tmp_path / "run", registry, checks=("seen", "marked"), generations=2, population=10)
    with History(tmp_path / "run") as history:
        stages = history.rejections()
    assert stages["marked"] > 0
    assert "seen-function" not in stages


def test_an_unknown_check_that_ends_in_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no check 'nonsense'") as caught:
        run(tmp_path / "run", checks=("seen", "nonsense"))
    assert "seen-function" in caught.value.hint
    assert not (tmp_path / "run").exists()
    given = ["evolve", str(OLD / "plain_cnn.py"), "--run", str(tmp_path / "run"), "--llm", "uniform"]
    done = CliRunner().invoke(app, [*given, "--checks", "built-in,nonsense"])
    assert isinstance(done.exception, ConfigError)
    assert "nonsense" in str(done.exception)


# --- going on -------------------------------------------------------------------------------------


def test_other_versions_that_are_taken_in_silence(tmp_path: Path, pin: Pin) -> None:
    folder = tmp_path / "run"
    assert told(run(folder, generations=1)) == ""
    before = tables(folder)
    pin(torch="2.10.0", libcst="1.8.9")
    with pytest.raises(ConfigError) as caught:
        run(folder, generations=2)
    assert "torch 2.9.1+cpu" in caught.value.message
    assert "torch 2.10.0" in caught.value.message
    assert "libcst" not in caught.value.message, "a patch release changes nothing"
    assert "--allow-changes" in caught.value.hint
    assert "allow_changes=True" in caught.value.hint
    assert tables(folder) == before
    said = told(run(folder, allow=True, generations=2))
    for part in ("torch 2.9.1+cpu", "torch 2.10.0", "libcst 1.8.5", "libcst 1.8.9"):
        assert part in said
    assert told(run(folder, generations=3)) == "", "what was allowed once is what the run is made with"
    assert check(folder) == []


def test_a_patch_release_that_is_asked_about_or_not_said(tmp_path: Path, pin: Pin) -> None:
    run(tmp_path / "run", generations=1)
    pin(python="3.12.7")
    assert told(run(tmp_path / "run", generations=2)) == "python 3.12.1 until now, python 3.12.7 from here on"


def test_another_set_of_checks_that_is_taken_in_silence(tmp_path: Path) -> None:
    run(tmp_path / "run", generations=1)
    before = tables(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"the check 'seen-function'.*no check 'seen-function'") as caught:
        run(tmp_path / "run", generations=2, checks=("seen",))
    assert "--allow-changes" in caught.value.hint
    assert tables(tmp_path / "run") == before
    run(tmp_path / "run", generations=2, checks=("seen-function", "seen")), "their order says nothing"
    said = told(run(tmp_path / "run", allow=True, generations=3, checks=("seen",)))
    assert said == "the check 'seen-function' until now, no check 'seen-function' from here on"
    with History(tmp_path / "run") as history:
        assert [part.making.checks for part in parts_of(history)] == [("seen", "seen-function"), ("seen",)]
        assert history.config.checks == ("seen",)


def test_another_setting_that_allow_changes_lets_through(tmp_path: Path) -> None:
    run(tmp_path / "run", generations=1)
    with pytest.raises(ConfigError, match="random_seed"):
        run(tmp_path / "run", allow=True, generations=2, random_seed=9)


def test_a_finalist_rescored_by_other_versions_in_silence(tmp_path: Path, pin: Pin) -> None:
    folder, registry = tmp_path / "run", doubles.registry()
    run(folder, generations=2)
    pin(torch="2.10.0")
    own = OwnSettings("instant")
    with pytest.raises(ConfigError, match=r"torch 2\.10"):
        loop.rescore(folder, 1, registry, lambda *_: None, own)
    loop.rescore(folder, 1, registry, lambda *_: None, own, allow_changes=True)
    with History(folder) as history:
        rows = history.query("SELECT DISTINCT part FROM scores WHERE split = 'validation' AND seed = 1")
        assert rows == [(2,)]


def test_a_new_run_that_is_asked_about(tmp_path: Path, pin: Pin) -> None:
    """Also where an earlier seed was refused, and the run holds nothing yet."""
    broken = doubles.seed()
    with Ledger.create(tmp_path / "run", broken, doubles.config()) as ledger:
        ledger.begin_part(Making({"torch": "1.0.0", "libcst": "1.0", "python": "3.1"}, (), {}))
    assert told(run(tmp_path / "run", generations=1)) == ""
    with History(tmp_path / "run") as history:
        assert [part.number for part in parts_of(history)] == [1]
        assert parts_of(history)[0].making.versions["torch"] == HERE["torch"]


# --- who made what --------------------------------------------------------------------------------


@pytest.fixture
def two_parts(tmp_path: Path, pin: Pin) -> Path:
    """A run whose second generation another torch and another engine made."""
    folder = tmp_path / "run"
    run(folder, generations=1)
    pin(torch="2.10.0", ge_engine="0.3.0")
    run(folder, allow=True, generations=2)
    pin(ge_engine="9.9.9")
    return folder


def test_a_child_that_another_version_is_named_for(two_parts: Path, tmp_path: Path) -> None:
    with History(two_parts) as history:
        ids = {one.generation: one.id for one in history.individuals() if one.genome and one.slot >= 0}
        for number, identity in ids.items():
            part, scored = part_of(history, identity), scored_in(history, identity)
            assert part is not None
            assert part.number == number + 1
            assert scored in (part, None)
    for generation, version in ((0, "0.2.0"), (1, "0.3.0")):
        shown("export", f"{two_parts}:{ids[generation]}", "-o", tmp_path / f"{generation}.py")
        open_run(two_parts).export(ids[generation], tmp_path / f"{generation}-api.py")
        for name in (f"{generation}.py", f"{generation}-api.py"):
            first = (tmp_path / name).read_text().splitlines()[0]
            assert first == f"# Evolved by ge_engine {version}: run:{ids[generation]}"


def test_versions_that_differ_and_are_not_told(two_parts: Path) -> None:
    log = shown("log", two_parts)
    assert "begun with doubles file " in log
    assert ", ge-engine 0.2.0, libcst 1.8.5, python 3.12.1, torch 2.9.1+cpu" in log
    assert (
        "from g1s0 on with ge-engine 0.3.0 (was ge-engine 0.2.0), torch 2.10.0 (was torch 2.9.1+cpu)" in log
    )
    records = [
        json.loads(line)
        for line in CliRunner().invoke(app, ["log", str(two_parts), "--json"]).output.splitlines()
    ]
    engines = {one["generation"]: one["made_with"]["ge-engine"] for one in records}
    assert engines == {0: "0.2.0", 1: "0.3.0"}
    assert ", ge-engine 0.3.0, libcst 1.8.5, python 3.12.1, torch 2.10.0" in shown(
        "show", f"{two_parts}:g1s0"
    )
    assert ", ge-engine 0.2.0, libcst" in shown("show", f"{two_parts}:g0s0")
    with History(two_parts) as history:
        made = read_run(history, ()).settings["made with"]
    assert [stretch.split(", ")[-1] for stretch in made.split("; then ")] == [
        "torch 2.9.1+cpu",
        "torch 2.10.0",
    ]


def test_versions_that_are_told_where_nothing_differs(tmp_path: Path) -> None:
    run(tmp_path / "run", generations=1, context=0)
    assert "torch" not in shown("log", tmp_path / "run")
    assert not re.search(r"with torch|torch \d", shown("show", f"{tmp_path / 'run'}:g0s0"))


def test_a_child_that_is_trained_by_another_part_than_bred_it(tmp_path: Path, pin: Pin) -> None:
    """Bred, and cut off before its training: the next session trains it and does not call it its own."""
    folder = tmp_path / "run"
    run(folder, generations=1)
    with History(folder) as history:
        one = next(one for one in history.individuals() if isinstance(one.outcome, Scored) and one.slot >= 0)
        assert one.genome is not None
    database = sqlite3.connect(folder / "ledger.sqlite")
    database.execute("DELETE FROM scores WHERE digest = ?", (one.genome.digest,))
    for table in ("survivors", "fronts", "merged"):
        database.execute(f"DELETE FROM {table} WHERE generation = 0")
    database.execute("UPDATE generations SET finished = 0")
    database.commit()
    database.close()
    pin(torch="2.10.0")
    run(folder, allow=True, generations=1)
    with History(folder) as history:
        bred, scored = part_of(history, one.id), scored_in(history, one.id)
        assert bred is not None
        assert scored is not None
        assert (bred.number, scored.number) == (1, 2)
    assert "scored with torch 2.10.0 (was torch 2.9.1+cpu)" in shown("show", f"{folder}:{one.id}")
    assert check(folder) == []


# --- a run database of version 0.1.0 --------------------------------------------------------------------


@pytest.fixture
def old(tmp_path: Path) -> Path:
    shutil.copytree(OLD, tmp_path / "old")
    return tmp_path / "old"


def test_an_old_ledger_that_cannot_be_read_or_is_changed_by_reading(old: Path, tmp_path: Path) -> None:
    before = tables(old)
    assert ("version", 2) in before
    assert check(old) == []
    with History(old) as history:
        everybody = list(history.individuals())
        assert [one.id for one in everybody] == ["seed", "g0s0", "g0s1"]
        assert all(isinstance(one.outcome, Scored) for one in everybody)
        (part,) = parts_of(history)
        assert dict(part.making.versions) == {"ge-engine": "0.1.0"}
        assert part_of(history, "g0s1") == scored_in(history, "g0s1") == part
        assert history.config.checks == CHECKS
    assert "g0s1" in shown("log", old)
    assert "operator" in shown("log", old, "--stats")
    assert "the run database is sound" in shown("log", old, "--check")
    assert "g0s1" in shown("show", f"{old}:g0s1")
    shown("export", f"{old}:g0s1", "-o", tmp_path / "child.py")
    assert (tmp_path / "child.py").read_text().startswith("# Evolved by ge_engine 0.1.0: old:g0s1")
    shown("report", old, "-o", tmp_path / "report.html")
    with History(old) as history:
        assert read_run(history, ()).settings["made with"] == "ge-engine 0.1.0"
    assert tables(old) == before


def go_on(old: Path, allow_changes: bool) -> Mapping[str, Any]:
    """Train what version 0.1.0 began with the command of then and one generation more."""
    events = doubles.Observer()
    settings: dict[str, Any] = {"llm": "uniform", "population": 2, "recipe": {"epochs": 1}}
    settings["operators"] = ("mutation", "mating", "eot")
    evolve(
        old / "plain_cnn.py",
        run=old,
        observe=events,
        allow_changes=allow_changes,
        generations=2,
        **settings,
    )
    (started,) = events.of("run_started")
    return started


def test_an_old_ledger_that_cannot_be_gone_on_with(old: Path, pin: Pin) -> None:
    before = tables(old)
    with pytest.raises(ConfigError, match=r"ge-engine 0\.1\.0.*ge-engine 0\.2\.0"):
        go_on(old, allow_changes=False)
    assert tables(old) == before, "version 0.1.0 can still go on with it"
    started = go_on(old, allow_changes=True)
    assert "ge-engine 0.1.0, versions that" in started["changes"]
    assert "versions that its run database does not hold" in started["changes"]
    assert check(old) == []
    with History(old) as history:
        assert [(part.number, part.making.versions["ge-engine"]) for part in parts_of(history)] == [
            (0, "0.1.0"),
            (1, "0.2.0"),
        ]
        parts = {one.id: part_of(history, one.id) for one in history.individuals()}
        assert {i: part.number for i, part in parts.items() if part and i != "seed"} == {
            "g0s0": 0,
            "g0s1": 0,
            "g1s0": 1,
            "g1s1": 1,
        }
        assert any(one.outcome is not None for one in history.individuals(1))
        assert history.stopped_because == "finished: 2/2 generations"
        assert all(isinstance(one.outcome, (Scored, Rejected)) for one in history.individuals())
    log = shown("log", old)
    assert "begun with ge-engine 0.1.0" in log
    assert "from g1s0 on with ge-engine 0.2.0" in log


def test_an_old_ledger_of_this_very_version_that_is_asked_about(old: Path, pin: Pin) -> None:
    """That its database holds no more than the engine's own version is said, not asked about."""
    pin(ge_engine="0.1.0")
    registry = load_registry()
    with History(old) as history:
        found = list(differences(parts_of(history)[0].making, made_with(registry, history.config)))
    assert [one.matters for one in found] == [False]

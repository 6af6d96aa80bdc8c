"""`ge resume`, `ge init`, `ge compare` and what `--json` tells: a run's folder is enough to go on, to begin
again and to be compared, and decides nothing that reaches beyond it."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from pathlib import Path
from typing import Any

import doubles
import pytest
from conftest import Ge
from test_report_page import Reader, page_policy, unpacked

from ge_engine import api
from ge_engine.config import load_config
from ge_engine.errors import ConfigError, GeError
from ge_engine.ledger.history import History
from ge_engine.runs.comparison import compared
from ge_engine.runs.resuming import resumed_run
from ge_engine.search.rescoring import OwnSettings, settings_with_own

NO_DOUBLES = [word for name in doubles.REPLACED for word in ("--no-plugin", name)]
SCORING = ["--plugin", "doubles", *NO_DOUBLES, "--evaluator", "instant"]
GIVEN = [*SCORING, "--llm", "scripted:good"]
CHECKS = ["--checks", "seen,seen-function"]
SMALL = {"population": 6, "elites": 6, "rescore_seeds": 0, "checks": ("seen", "seen-function")}


def evolved(folder: Path, **settings: Any) -> Path:
    """A run of the doubles, with the seed model's file beside it."""
    seed = folder.parent / "seed.py"
    seed.write_bytes(doubles.SEED)
    settings = {"evaluator": "instant", "llm": ("scripted:good",), **SMALL, **settings}
    blocked = [word for word in NO_DOUBLES if word != "--no-plugin"]
    quiet = {"observe": lambda *_: None, "plugins": ["doubles"], "no_plugins": blocked}
    api.evolve(seed, run=folder, **quiet, **settings)
    return folder


def children(folder: Path) -> list[tuple[str, str]]:
    with History(folder) as history:
        return [(one.id, one.genome.digest if one.genome else "") for one in history.individuals()]


def stored(folder: Path, **settings: object) -> None:
    """Change what the folder says of the run's settings."""
    db = sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)
    held = json.loads(db.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()[0])
    db.execute("UPDATE meta SET value = ? WHERE key = 'config'", (json.dumps(held | settings),))
    db.close()


# --- resume ---------------------------------------------------------------------------------------


def test_a_resumed_run_that_differs_from_one_in_one_go(tmp_path: Path, ge: Ge) -> None:
    whole, cut = evolved(tmp_path / "whole", generations=3), evolved(tmp_path / "cut", generations=1)
    code, _, error = ge("resume", cut, "--generations", 3, *GIVEN)
    assert code == 0, error
    assert children(cut) == children(whole)
    assert len(children(cut)) == 19


def test_a_run_that_is_resumed_without_its_file(tmp_path: Path, ge: Ge) -> None:
    run = evolved(tmp_path / "run", generations=1)
    (tmp_path / "seed.py").write_text("another = 1\n")
    code, _, error = ge("resume", run, "--generations", 2, *GIVEN)
    assert code == 0, error
    assert len(children(run)) == 13


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"llm": ["openai:m@http://203.0.113.9/v1"]}, "--llm openai:m@http://203.0.113.9/v1"),
        ({"llm": ["hf:/srv/models/mine"]}, "--llm hf:/srv/models/mine"),
        ({"llm": ["uniform"], "llm_key_env": ["AWS_SECRET_ACCESS_KEY"]}, "AWS_SECRET_ACCESS_KEY"),
        ({"llm": ["uniform"], "llm_extra": ['{"user": "me"}']}, "--llm-extra"),
        ({"llm": ["uniform"], "island": [{"llm": ["openai:m@http://203.0.113.9/v1"]}]}, "203.0.113.9"),
    ],
)
def test_a_folder_that_decides_whom_to_ask(
    tmp_path: Path, ge: Ge, settings: dict[str, Any], flag: str
) -> None:
    run = evolved(tmp_path / "run", generations=1)
    stored(run, **settings)
    code, _, error = ge("resume", run, "--generations", 2, *SCORING)
    assert code == 2
    assert flag in error
    assert len(children(run)) == 7


def test_an_address_that_is_asked_on_an_island_though_another_model_was_given(
    tmp_path: Path,
) -> None:
    run = evolved(tmp_path / "run", generations=1)
    island = [{"llm": ["openai:m@http://203.0.113.9/v1"], "personas": ["expert"]}]
    stored(run, island=island, llm_key_env=["AWS_SECRET_ACCESS_KEY"], llm_extra=['{"user": "me"}'])
    given = {"evaluator": "instant", "llm": ("scripted:good",)}
    _, config = resumed_run(run, given, doubles.registry())
    assert config.models == ("scripted:good",)
    assert (config.llm_key_env, config.llm_extra) == ((), ())
    assert config.on_island(0).personas == ("expert",)


def test_a_program_that_is_run_elsewhere_after_a_pause(tmp_path: Path) -> None:
    run = evolved(tmp_path / "run", generations=1)
    own = {"evaluator": "instant", "evaluator_argument": "python train.py {path}"}
    stored(run, **own, project="repo", workdir="my project", pass_env=["DATA"], llm=["uniform"])
    with pytest.raises(ConfigError, match="--project repo --workdir 'my project' --pass-env DATA"):
        resumed_run(run, own, doubles.registry())
    given = {"project": "here", "workdir": ".", "pass_env": ()}
    _, config = resumed_run(run, {**own, **given}, doubles.registry())
    assert (config.project, config.workdir, config.pass_env) == ("here", ".", ())


def test_a_folder_that_decides_what_is_run(tmp_path: Path, ge: Ge) -> None:
    run = evolved(tmp_path / "run", generations=1)
    stored(run, evaluator="command", evaluator_argument=f"touch {tmp_path / 'ran'}", llm=["uniform"])
    code, _, error = ge("resume", run, "--generations", 2, "--plugin", "doubles", *NO_DOUBLES)
    assert code == 2
    assert "which it cannot start by itself" in error
    assert not (tmp_path / "ran").exists()


def test_a_folder_that_decides_where_it_trains(tmp_path: Path) -> None:
    run = evolved(tmp_path / "run", generations=1)
    own = {"evaluator": "instant", "llm": ("scripted:good",)}
    stored(run, executor="nodes:somewhere")
    with pytest.raises(ConfigError, match="--executor nodes:somewhere"):
        resumed_run(run, own, doubles.registry())
    for given, executor in ((dict(own, executor="local"), "local"), (dict(own, executor="nodes"), "nodes")):
        _, config = resumed_run(run, given, doubles.registry())
        assert config.executor == executor
    stored(run, executor="local", executor_llm="nodes:elsewhere")
    with pytest.raises(ConfigError, match="--executor-llm nodes:elsewhere"):
        resumed_run(run, own, doubles.registry())
    _, config = resumed_run(run, dict(own, executor_llm="local"), doubles.registry())
    assert (config.executor, config.executor_llm) == ("local", "local")
    stored(run, executor="nodes:somewhere")
    with History(run) as history:
        rescored = settings_with_own(run, history.config, OwnSettings("instant"), doubles.registry())
    assert rescored.executor == "local"


def test_a_resumed_run_whose_settings_are_others(tmp_path: Path, ge: Ge) -> None:
    run = evolved(tmp_path / "run", generations=1)
    code, _, error = ge("resume", run, "--population", 12, *GIVEN)
    assert code == 2
    assert "--population" in error
    blocked = [word for word in NO_DOUBLES if word != "--no-plugin"]
    own: Any = {"evaluator": "instant", "llm": ("scripted:good",), "population": 12}
    with pytest.raises(ConfigError, match="population = 6"):
        api.resume(run, plugins=["doubles"], no_plugins=blocked, observe=lambda *_: None, **own)


def test_a_folder_without_a_run(tmp_path: Path, ge: Ge) -> None:
    code, _, error = ge("resume", tmp_path)
    assert code == 2
    assert "error: " in error
    assert "Traceback" not in error


# --- settings as files ----------------------------------------------------------------------------


def test_settings_beside_a_ledger_that_give_another_run(tmp_path: Path) -> None:
    run = evolved(tmp_path / "run", generations=1, constraints=("parameters<=900",))
    with History(run) as history:
        assert load_config("paper", run / "settings.toml", {}) == history.config


def test_settings_beside_a_ledger_that_hold_a_password(tmp_path: Path) -> None:
    run = evolved(tmp_path / "run", generations=0, llm_extra=('{"api_key": "sesame"}',))
    assert "sesame" not in (run / "settings.toml").read_text()


@pytest.mark.parametrize(
    ("flags", "settings"),
    [
        ([], {}),
        (["--epochs", 9, "--task", "folder:a b\\c.zip"], {"training.epochs": 9, "task": "folder:a b\\c.zip"}),
        (["--constraint", 'parameters<="9"', "--constraint", "flops<=1"], None),
        (["--no-eot", "--channels", "1"], {"p_eot": 0.0, "training.channels": 1}),
    ],
)
def test_a_file_to_begin_with_that_means_other_settings(
    tmp_path: Path, ge: Ge, flags: list[Any], settings: dict[str, Any] | None
) -> None:
    seed, file = tmp_path / "seed.py", tmp_path / "mine.toml"
    seed.write_bytes(doubles.SEED)
    if settings is None:
        settings = {"constraints": ('parameters<="9"', "flops<=1")}
        flags = [str(flag).replace("--constraint", "--constraints") for flag in flags]
    code, output, error = ge("init", seed, *flags, "-o", file)
    assert code == 0, error
    assert f"--config {file}" in output
    assert load_config("demo", file, {}) == load_config("demo", None, settings)
    assert "Net" in file.read_text().splitlines()[2]


def test_a_file_to_begin_with_that_overwrites_another(tmp_path: Path, ge: Ge) -> None:
    seed, file = tmp_path / "seed.py", tmp_path / "ge.toml"
    seed.write_bytes(doubles.SEED)
    file.write_text("mine")
    assert ge("init", seed, "-o", file)[0] == 2
    assert file.read_text() == "mine"
    assert ge("init", seed, "-o", file, "--force")[0] == 0
    assert load_config("demo", file, {}) == load_config("demo", None, {})


# --- compare --------------------------------------------------------------------------------------


def test_runs_side_by_side_that_are_measured_in_boxes_of_their_own(tmp_path: Path, ge: Ge) -> None:
    short, long = evolved(tmp_path / "short", generations=1), evolved(tmp_path / "long", generations=4)
    code, output, error = ge("compare", short, long, "--json")
    assert code == 0, error
    found = json.loads(output)
    first, second = found["runs"]
    assert first["hypervolume"] <= second["hypervolume"] <= 1.0
    assert (first["children"], second["children"]) == (6, 24)
    assert found["differences"] == {"generations": [1, 4]}
    best = max(one["objectives"]["accuracy"] for one in found["front"])
    everybody = [one for run in (short, long) for one in api.Run(run).front]
    assert best == max(one.objectives["accuracy"] for one in everybody)
    assert {one["run"] for one in found["front"]} <= {str(short), str(long)}
    text = ge("compare", short, long)[1]
    assert f"{first['hypervolume']:.3f}" in text
    assert "generations" in text
    assert "not scored alike" not in text
    assert found["warning"] == ""


def test_runs_of_other_data_that_share_a_front_without_a_word(tmp_path: Path, ge: Ge) -> None:
    one, other = evolved(tmp_path / "one"), evolved(tmp_path / "other", task="cifar10")
    told = "not scored alike (other task)"
    assert told in " ".join(ge("compare", one, other)[1].split())
    assert told in json.loads(ge("compare", one, other, "--json")[1])["warning"]
    file = tmp_path / "both.html"
    ge("compare", one, other, "--html", file)
    note = json.loads(unpacked(Reader(file.read_text("utf-8")), "index"))["tables"][0]
    assert told in note["rows"][0][0]


def test_runs_side_by_side_that_seek_other_things(tmp_path: Path) -> None:
    one = evolved(tmp_path / "one", generations=0)
    other = evolved(tmp_path / "other", generations=0, objectives=("accuracy",))
    with pytest.raises(ConfigError, match=r"has the objectives accuracy:max, parameters:min, .*accuracy:max"):
        compared([one, other])
    with pytest.raises(ConfigError, match="nothing to compare"):
        compared([one])


def test_a_page_of_runs_side_by_side_without_one_of_them(tmp_path: Path, ge: Ge) -> None:
    short, long = evolved(tmp_path / "short", generations=1), evolved(tmp_path / "long", generations=4)
    file = tmp_path / "both.html"
    code, _, error = ge("compare", short, long, "--html", file)
    assert (code, f"wrote {file}" in error) == (0, True)
    page = file.read_text("utf-8")
    assert "connect-src 'none'" in page_policy(page)
    index = json.loads(unpacked(Reader(page), "index"))
    found = api.compare(short, long)
    runs, front, different = index["tables"]
    assert [row[0] for row in runs["rows"]] == [str(short), str(long)]
    assert [row[-1] for row in runs["rows"]] == [one.verdict for one in found.runs]
    assert [row[0] for row in front["rows"]] == [f"{folder}:{one.id}" for folder, one in found.front]
    assert different["rows"] == [["generations", "1", "4"]]
    fronts, volumes = (index["figures"][name]["spec"]["data"] for name in ("fronts", "hypervolumes"))
    assert {trace["name"] for trace in fronts} == {trace["name"] for trace in volumes} != set()
    assert len(volumes) == 2
    for one, trace in zip(found.runs, volumes, strict=True):
        assert len(trace["x"]) == one.scored + 1
        assert trace["y"][-1] == pytest.approx(one.hypervolume)
    drawn = [sorted(trace["y"]) for trace in fronts[1::2]]
    assert drawn == [
        sorted(one.objectives["accuracy"] for one in api.Run(run).front) for run in (short, long)
    ]
    with pytest.raises(ConfigError):
        api.comparison_page(found, tmp_path / "no" / "such" / "page.html")


# --- what comes out -------------------------------------------------------------------------------


def test_an_end_in_json_that_is_not_one_object(tmp_path: Path, ge: Ge) -> None:
    seed = tmp_path / "seed.py"
    seed.write_bytes(doubles.SEED)
    words = [*GIVEN, *CHECKS, "--generations", 1, "--population", 4, "--run", tmp_path / "run", "--json"]
    code, output, _ = ge("evolve", seed, *words)
    assert code == 0
    told = json.loads(output)
    run = api.Run(tmp_path / "run")
    assert told["verdict"] == run.verdict.sentence
    assert [one["id"] for one in told["front"]] == [one.id for one in run.front]
    assert told["baseline"]["objectives"] == dict(run.seed.objectives)


def test_a_run_that_scored_nothing_and_ends_well(tmp_path: Path, ge: Ge) -> None:
    seed = tmp_path / "seed.py"
    seed.write_bytes(doubles.SEED)
    words = ["--generations", 1, "--population", 4, "--run", tmp_path / "run"]
    code, _, error = ge("evolve", seed, *SCORING, *CHECKS, "--llm", "scripted:broken", *words)
    assert code == 1, error
    assert "No child could be scored." in error


def test_records_without_what_they_cost(tmp_path: Path, ge: Ge) -> None:
    run = evolved(tmp_path / "run", generations=2)
    records = [json.loads(line) for line in ge("log", run, "--json")[1].splitlines()]
    with History(run) as history:
        calls = {one.id: history.calls(one.id) for one in history.individuals()}
    asked = [one for one in records if calls[one["id"]]]
    assert asked
    for one in asked:
        replies = [call.reply for call in calls[one["id"]]]
        assert one["tokens"]["output"] == sum(reply.completion_tokens for reply in replies)
        assert one["models"] == ["scripted:good"]
    tested = api.Run(run).tests
    assert tested
    assert {one["id"] for one in records if "test" in one} == set(tested)


def test_a_table_of_individuals_that_loses_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = api.Run(evolved(tmp_path / "run", generations=2))
    table = run.to_dataframe()
    assert list(table["id"]) == [one.id for one in run.individuals]
    best = run.front[0]
    row = table[table["id"] == best.id].iloc[0]
    assert row["objectives.accuracy"] == best.objectives["accuracy"]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(GeError, match="pandas is not installed"):
        run.to_dataframe()


def test_a_log_of_a_batch_job_without_the_time(tmp_path: Path, ge: Ge) -> None:
    seed = tmp_path / "seed.py"
    seed.write_bytes(doubles.SEED)
    words = [*GIVEN, *CHECKS, "--generations", 2, "--population", 4, "--run", tmp_path / "run"]
    _, _, error = ge("evolve", seed, *words)
    ended = [line for line in error.splitlines() if "front" in line and "generation" in line]
    assert len(ended) == 2, error
    assert re.match(r"\d\d:\d\d:\d\d .*; \d+:\d\d, about \d+:\d\d left$", ended[0]), ended


def test_an_individual_as_json_that_keeps_something_back(tmp_path: Path, ge: Ge) -> None:
    folder = evolved(tmp_path / "run", generations=2)
    run = api.Run(folder)
    child = next(one for one in run.individuals if one.generation == 1 and run.calls(one.id) and one.genome)
    code, output, error = ge("show", f"{folder}:{child.id}", "--json")
    assert code == 0, error
    told = json.loads(output)
    logged = [json.loads(line) for line in ge("log", folder, "--json")[1].splitlines()]
    assert told | next(one for one in logged if one["id"] == child.id) == told
    assert child.genome is not None
    assert told["code"] == child.genome.source.decode()
    assert [one["id"] for one in told["lineage"]] == [one.id for _, one in run.lineage(child.id)]
    assert [(one["prompt"], one["reply"]) for one in told["calls"]] == [
        (call.prompt.user, call.reply.text) for call in run.calls(child.id)
    ]
    seed = json.loads(ge("show", f"{folder}:seed", "--json")[1])
    assert (seed["calls"], seed["code"]) == ([], doubles.SEED.decode())

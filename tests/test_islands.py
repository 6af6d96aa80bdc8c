"""Islands breed apart, elites travel along the ring and at no other time, and one island is none."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import crashing
import doubles
import pytest
from typer.testing import CliRunner

from ge_engine import loop
from ge_engine.cli.app import app
from ge_engine.config import config_from_dict, config_to_dict, load_config
from ge_engine.errors import ConfigError
from ge_engine.ledger import Ledger
from ge_engine.ledger.history import History
from ge_engine.ledger.schema import SCHEMA_VERSION
from ge_engine.ledger.statistics import statistics
from ge_engine.outcome import Rejected
from ge_engine.population import Individual, pareto_front
from ge_engine.report.data import read_run
from ge_engine.report.lineage import SYMBOLS, lineage
from ge_engine.runs.audit import check
from ge_engine.search.islands import island_of, share, travels

REGISTRY = doubles.registry()
ISLANDS: dict[str, Any] = {
    "islands": 3,
    "migrate_every": 2,
    "migrants": 1,
    "generations": 6,
    "population": 10,
    "elites": 10,
    "eot_elites": 3,
}


def run(folder: Path, registry: Any = REGISTRY, **settings: Any) -> loop.Result:
    config = doubles.config(**{**ISLANDS, **settings})
    return loop.run(doubles.seed(), config, registry, folder, lambda *_: None)


def content(folder: Path) -> Mapping[str, Any]:
    with History(folder) as history:
        return history.content()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run(folder)
    return folder


def test_elites_that_travel_at_another_time_or_elsewhere_than_along_the_ring(whole: Path) -> None:
    with History(whole) as history:
        moves = history.moves()
        assert {generation for generation, _ in moves} == {1, 3, 5}
        assert {(move.source, move.target) for _, move in moves} == {(0, 1), (1, 2), (2, 0)}
        for generation, move in moves:
            assert move.id in history.populations(generation)[move.source]
            assert move.id in history.populations(generation)[move.target]
            assert move.id not in history.populations(generation - 1)[move.target]
    assert check(whole) == []


def ancestors(known: Mapping[str, Individual], one: Individual) -> set[str]:
    found: set[str] = set()
    waiting = list(one.parents)
    while waiting:
        name = waiting.pop()
        if name not in found and name != "seed":
            found.add(name)
            waiting += known[name].parents
    return found


@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_an_island_that_breeds_from_anothers_members(tmp_path: Path, schedule: str) -> None:
    run(tmp_path / "apart", migrants=0, schedule=schedule, workers=2)
    run(tmp_path / "ring", schedule=schedule, workers=2)
    crossed = {}
    for name in ("apart", "ring"):
        with History(tmp_path / name) as history:
            known = {one.id: one for one in history.individuals()}
            for one in known.values():
                if one.generation:
                    alive = history.populations(one.generation - 1)[one.island]
                    assert set(one.parents) <= set(alive)
            crossed[name] = [
                one.id
                for one in known.values()
                if any(known[a].island != one.island for a in ancestors(known, one))
            ]
            assert {one.island for one in known.values()} == {0, 1, 2}
    assert not crossed["apart"]
    assert crossed["ring"]


def test_a_front_of_one_island_alone(whole: Path) -> None:
    with History(whole) as history:
        everybody = list(history.individuals())
        best = pareto_front(everybody, history.directions)
        assert [one.id for one in best] == list(history.fronts(5))
        for record in history.generations():
            for island, ids in enumerate(history.populations(record.generation)):
                newborn = [i for i in everybody if i.generation == record.generation and i.island == island]
                arrived = sum(g == record.generation and m.target == island for g, m in history.moves())
                assert len(ids) <= share(10, island, 3) + len(newborn) + arrived


def test_one_island_that_differs_from_none(tmp_path: Path) -> None:
    run(tmp_path / "none", islands=1)
    run(tmp_path / "one", islands=1, migrate_every=1, migrants=9, island=[{}])
    assert content(tmp_path / "one") == content(tmp_path / "none")


@pytest.mark.parametrize(
    "other",
    [{"workers": 1}, {"workers": 2}, {"llm": "scripted:shuffle", "workers": 3}],
)
def test_islands_that_depend_on_the_order_of_events(
    whole: Path, tmp_path: Path, other: dict[str, Any]
) -> None:
    run(tmp_path / "other", evaluator="threaded", **other)
    plain, reordered = content(whole), content(tmp_path / "other")
    for table in plain:
        mine = [str(row).replace("scripted:shuffle", "scripted:mixed") for row in reordered[table]]
        assert mine == [str(row) for row in plain[table]], table


@pytest.mark.long
def test_a_killed_run_of_islands_that_ends_differently(tmp_path: Path) -> None:
    result = crashing.campaign(tmp_path, moments=5, children=100, seed=3, islands=3, migrate_every=1)
    assert result.kills == 5
    assert result.whole["moves"]
    for table, rows in result.whole.items():
        assert result.killed[table] == rows, table
    assert check(tmp_path / "killed") == []


class Stop(Exception):
    pass


@pytest.mark.parametrize("event", ["reply", "outcome", "migrated"])
def test_a_steady_run_of_islands_that_is_killed(tmp_path: Path, event: str) -> None:
    scored: list[str] = []
    for session in range(4):
        left = [3 if session < 3 else 10**9]

        def watch(name: str, data: Mapping[str, Any], left: list[int] = left) -> None:
            if name == "outcome":
                scored.append(f"{data['individual']}/{data['split']}")
            left[0] -= name == event
            if not left[0]:
                raise Stop

        config = doubles.config(**ISLANDS, schedule="steady", evaluator="threaded", workers=2)
        try:
            loop.run(doubles.seed(), config, REGISTRY, tmp_path / "run", watch)
        except Stop:
            continue
    assert len(scored) == len(set(scored))
    assert check(tmp_path / "run") == []
    with History(tmp_path / "run") as history:
        assert len(list(history.individuals())) == 61
        assert history.moves()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_replayed_steady_run_whose_islands_differ(tmp_path: Path, workers: int) -> None:
    models = {**REGISTRY.language_models, "replay": doubles.Replay()}
    registry = dataclasses.replace(REGISTRY, language_models=models)
    steady = {"schedule": "steady", "evaluator": "threaded"}
    run(tmp_path / "first", workers=2, **steady)
    run(tmp_path / "again", registry, llm=f"replay:{tmp_path / 'first'}", workers=workers, **steady)
    assert content(tmp_path / "again") == content(tmp_path / "first")


# --- what an island has of its own ----------------------------------------------------------------


def test_an_island_that_asks_anothers_model_or_plays_anothers_persona(tmp_path: Path) -> None:
    own = [
        {"llm": "scripted:good", "personas": "expert"},
        {"personas": ["eccentric", "innovator"]},
        {"llm": ["scripted:good:0.5", "scripted:shuffle:0.5"]},
    ]
    run(tmp_path / "run", island=own)
    models: dict[int, set[str]] = {0: set(), 1: set(), 2: set()}
    personas: dict[int, set[str]] = {0: set(), 1: set(), 2: set()}
    with History(tmp_path / "run") as history:
        for one in history.individuals():
            if one.slot >= 0:
                models[one.island] |= {call.reply.model for call in history.calls(one.id)}
                personas[one.island] |= {step.persona for step in one.steps}
    assert models == {
        0: {"scripted:good"},
        1: {"scripted:mixed"},
        2: {"scripted:good", "scripted:shuffle"},
    }
    assert personas[0] == {"expert"}
    assert personas[1] == {"eccentric", "innovator"}
    assert len(personas[2]) == 4
    assert check(tmp_path / "run") == []


def test_an_islands_model_that_cannot_be_changed_or_its_personas_that_can(tmp_path: Path) -> None:
    first = [{"llm": "scripted:good", "personas": "expert"}, {}]
    run(tmp_path / "run", islands=2, generations=1, island=first)
    other = [{"llm": "scripted:mixed", "personas": "expert"}, {}]
    run(tmp_path / "run", islands=2, generations=2, island=other)
    with pytest.raises(ConfigError, match="was made with island"):
        run(tmp_path / "run", islands=2, generations=3, island=[{"personas": "none"}, {}])


def test_settings_of_islands_that_are_lost_or_taken_though_wrong(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('[[island]]\nllm = "uniform"\n[[island]]\npersonas = ["expert", "none"]\n')
    config = load_config("demo", file, {})
    assert config.islands == 2
    assert [config.on_island(n).llm for n in (0, 1)] == [("uniform",), ("smollm2",)]
    assert config.on_island(1).personas == ("expert", "none")
    assert config_from_dict(json.loads(json.dumps(config_to_dict(config)))) == config
    for flags, words in (
        ({"islands": 3}, "number of"),
        ({"island": [{"lm": "x"}]}, "island.lm"),
        ({"island": ["x"]}, "[[island]]"),
        ({"island": [], "islands": 99}, "must not exceed"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_config("demo", file, flags)
        assert words in f"{caught.value.message} {caught.value.hint}"
    with pytest.raises(ConfigError, match="no persona 'nobody'"):
        run(tmp_path / "run", islands=2, island=[{}, {"personas": "nobody"}])


def test_shares_that_do_not_add_up_or_a_migration_that_is_left_out() -> None:
    for total in range(20):
        for islands in range(1, 6):
            assert sum(share(total, island, islands) for island in range(islands)) == total
    places = [island_of(slot, before, 3) for before in (0, 2, 5) for slot in range(3 if before == 2 else 2)]
    assert places == [0, 1, 2, 0, 1, 2, 0]
    config = doubles.config(islands=2, population=10, migrate_every=3)
    ends = [(bred, bred + 4) for bred in range(0, 120, 4)]
    assert [after for before, after in ends if travels(config, before, after)] == [32, 60, 92, 120]


# --- what is seen of it ------------------------------------------------------------------------------


MIGRANT = "(SELECT id FROM moves WHERE generation = 3 AND source = 0)"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE individuals SET island = (island + 1) % 3 WHERE id = 'g2s3'", "g2s3: it is on island"),
        (
            "UPDATE moves SET generation = 2 WHERE generation = 3",
            "2: elites migrated, though it was",
        ),
        ("UPDATE moves SET target = 2 WHERE source = 0", "from island 0 to 2, not along the ring"),
        ("UPDATE moves SET id = 'g0s0' WHERE generation = 5", "where it did not live"),
        (
            f"DELETE FROM survivors WHERE generation = 3 AND island = 1 AND id = {MIGRANT}",
            "to island 1 and did not arrive",
        ),
        ("DELETE FROM moves WHERE generation = 3", "was not alive before"),
    ],
)
def test_a_ledger_of_islands_changed_by_hand(whole: Path, tmp_path: Path, damage: str, words: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    database = sqlite3.connect(folder / "ledger.sqlite")
    assert database.execute(damage).rowcount > 0
    database.commit()
    database.close()
    problems = check(folder)
    assert any(words in problem for problem in problems), problems


def test_islands_that_the_log_does_not_show(whole: Path) -> None:
    with History(whole) as history:
        (generation, move), *_ = history.moves()
        bred = {
            value: stats.children for (kind, value), stats in statistics(history).items() if kind == "island"
        }
        children = {str(n): 0 for n in range(3)}
        for one in history.individuals():
            children[str(one.island)] += one.slot >= 0
    assert bred == children
    runner = CliRunner()
    table = runner.invoke(app, ["log", str(whole)]).output
    assert "island" in table.split("\n")[0]
    assert f"migrated after generation {generation}: {move.id} from island 0 to 1" in table
    lines = runner.invoke(app, ["log", str(whole), "--json"]).output.splitlines()
    assert {json.loads(line)["island"] for line in lines} == {0, 1, 2}
    assert "island" in runner.invoke(app, ["log", str(whole), "--stats"]).output
    shown = runner.invoke(app, ["show", f"{whole}:{move.id}"]).output
    assert "migrated from 0 to 1" in shown


def test_a_lineage_without_its_islands(whole: Path) -> None:
    with History(whole) as history:
        drawing = lineage(read_run(history, ()))
        front = history.fronts(5)
        islands = {one.id: one.island for one in history.individuals()}
    points = drawing.figure.data[2]
    labels = dict(zip([text.split()[0] for text in points.text], points.text, strict=True))
    for name in front:
        assert name == "seed" or labels[name].endswith(f", island {islands[name]}")
    for label, symbol in zip(points.text, points.marker.symbol, strict=True):
        name = label.split()[0]
        assert symbol == ("diamond" if name == "seed" else SYMBOLS[islands[name]])


# --- run databases from before there were islands -----------------------------------------------------------


def as_schema_1(folder: Path) -> None:
    database = sqlite3.connect(folder / "ledger.sqlite")
    for statement in (
        "ALTER TABLE individuals DROP COLUMN island",
        "ALTER TABLE survivors DROP COLUMN island",
        "DROP TABLE moves",
        "ALTER TABLE individuals DROP COLUMN part",
        "CREATE TABLE plain AS SELECT digest, split, outcome, at FROM scores WHERE seed = 0 AND epochs = 0",
        "DROP TABLE scores",
        "ALTER TABLE plain RENAME TO scores",
        "DROP TABLE parts",
        "DROP TABLE hand_made",
        "DROP TABLE files",
        "PRAGMA user_version = 1",
    ):
        database.execute(statement)
    database.commit()
    database.close()


def test_a_ledger_of_an_older_version_that_cannot_be_read_or_gone_on_with(tmp_path: Path) -> None:
    plain: dict[str, Any] = {"islands": 1, "generations": 3}
    run(tmp_path / "whole", **plain)
    run(tmp_path / "old", **{**plain, "generations": 2})
    as_schema_1(tmp_path / "old")
    assert check(tmp_path / "old") == []
    with History(tmp_path / "old") as history:
        assert history.moves() == ()
        assert len([one for one in history.individuals() if not isinstance(one.outcome, Rejected)]) > 5
    run(tmp_path / "old", **plain)
    with Ledger.open(tmp_path / "old") as ledger:
        assert ledger.query("PRAGMA user_version") == [(SCHEMA_VERSION,)]
    mine, theirs = content(tmp_path / "old"), content(tmp_path / "whole")
    for table in ("calls", "individuals", "survivors", "fronts", "merged"):
        assert mine[table] == theirs[table], table

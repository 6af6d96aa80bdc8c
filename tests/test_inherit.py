"""`--inherit`, the search: whose weights a child begins with, which are kept, that breaks change nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import doubles
import lineages
import pytest
from conftest import Ge
from cut_off import cut_off

from ge_engine import api, loop
from ge_engine.config import RunConfig
from ge_engine.contracts import Job
from ge_engine.ledger.history import History
from ge_engine.ledger.verdict import UNJUDGED
from ge_engine.outcome import INHERITED, Scored
from ge_engine.population import SEED_ID
from tests.sampled import everyday

SEED = Path(__file__).resolve().parent.parent / "examples" / "plain_cnn.py"


@pytest.fixture
def jobs() -> Iterator[list[Job]]:
    """All that was asked of evaluations since the test began."""
    before = len(lineages.LINEAGE.opened)
    found: list[Job] = []
    yield found
    found += [job for one in lineages.LINEAGE.opened[before:] for job in one.scored]


def config(**settings: Any) -> RunConfig:
    return doubles.config(
        **{"llm": "scripted:good", "evaluator": "lineage", "inherit": True, "workers": 1, **settings}
    )


def evolve(folder: Path, made: RunConfig) -> lineages.Lineage:
    loop.run(doubles.seed(), made, doubles.registry("lineages"), folder, lambda *_: None)
    return lineages.LINEAGE.opened[-1]


def content(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    with History(folder) as history:
        return history.content()


SCHEDULES = pytest.mark.parametrize(
    "settings",
    [{}, {"schedule": "steady"}, {"islands": 2, "migrate_every": 1, "migrants": 1}],
    ids=["generational", "steady", "islands"],
)


@SCHEDULES
def test_a_child_that_begins_with_the_weights_of_another_than_its_first_parent(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """And a parent whose weights are gone, or a training of a finalist that begins with any."""
    opened = evolve(tmp_path, config(generations=5, elites=2, rescore_seeds=1, **settings))
    with History(tmp_path) as history:
        children = {one.id: one for one in history.individuals()}
        digests = {name: history.digest_of(name) for name in children}
    assert any(one.parents and one.parents[0] != SEED_ID for one in children.values())
    for job in opened.scored:
        first = next(iter(children[job.key].parents), "")
        inherits = job.split == "validation" and job.rng_seed == 0
        assert job.parent == (digests[first] if inherits and first else "")
    assert inherited_wrongly(tmp_path) == []
    assert {job.split for job in opened.scored} == {"validation", "test", "both"}


def test_a_child_that_waits_while_its_parents_weights_are_deleted(tmp_path: Path) -> None:
    """In a steady run children are still trained when their parents have left the population."""
    late = {"schedule": "steady", "workers": 2, "generations": 8, "elites": 1, "llm": "scripted:good"}
    evolve(tmp_path, config(**late))
    assert inherited_wrongly(tmp_path) == []


@SCHEDULES
def test_weights_that_pile_up(tmp_path: Path, settings: dict[str, Any]) -> None:
    evolve(tmp_path, config(generations=6, elites=2, **settings))
    with History(tmp_path) as history:
        last = history.next_generation() - 1
        alive = {history.digest_of(name) for name in (SEED_ID, *history.survivors(last))}
    kept = {file.name for file in (tmp_path / "scratch" / "learnt").iterdir()}
    assert alive <= kept
    assert len(kept) <= 1 + 2 + 2 + 6


def inherited_wrongly(folder: Path) -> list[str]:
    """Children whose score does not follow from their own code and that of their line of first parents."""
    with History(folder) as history:
        scored = [one for one in history.individuals() if isinstance(one.outcome, Scored) and one.genome]
        failed = {one.id for one in history.individuals() if not isinstance(one.outcome, Scored)}
    learnt: dict[str, str] = {}
    wrong = []
    for one in scored:
        assert one.genome is not None
        assert not failed & set(one.parents)
        before = learnt[one.parents[0]] if one.parents else ""
        learnt[one.id] = lineages.learnt(one.genome, before)
        wrong += [one.id] if one.objectives["accuracy"] != lineages.accuracy(learnt[one.id]) else []
    return wrong


@SCHEDULES
@pytest.mark.parametrize("moment", everyday(range(2, 34, 4), 10, 22))
def test_a_run_cut_off_that_inherits_differently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], moment: int
) -> None:
    made = config(generations=4, elites=3, rescore_seeds=1, **settings)
    evolve(tmp_path / "whole", made)
    with cut_off(monkeypatch, moment):
        evolve(tmp_path / "cut", made)
    evolve(tmp_path / "cut", made)
    assert inherited_wrongly(tmp_path / "cut") == []
    if made.schedule == "generational":  # in a steady one, what has ended decides
        assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_a_child_that_begins_with_the_parent_of_one_that_came_to_the_same_code(tmp_path: Path) -> None:
    """With few answers, children of different parents are the same; who is probed first may not matter."""
    made: dict[str, Any] = {
        "llm": "scripted:few",
        "operators": ["mutation"],
        "blocks": ["get_optimizer"],
        "generations": 2,
        "population": 70,
        "elites": 20,
    }
    evolve(tmp_path / "one", config(**made))
    evolve(tmp_path / "several", config(**made, workers=2))
    with sqlite3.connect(tmp_path / "one" / "ledger.sqlite") as db:
        twins = db.execute(
            "SELECT count(DISTINCT json_extract(parents, '$[0]')) AS n FROM individuals"
            " WHERE digest IS NOT NULL GROUP BY digest HAVING n > 1 AND min(generation) = 1"
        ).fetchall()
    assert twins
    assert content(tmp_path / "one")["scores"] == content(tmp_path / "several")["scores"]


def test_weights_that_are_lost_and_cost_more_than_a_training_from_scratch(tmp_path: Path) -> None:
    made = config(generations=2, population=4)
    evolve(tmp_path, made)
    for file in (tmp_path / "scratch" / "learnt").iterdir():
        file.unlink()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        db.execute("DELETE FROM generations WHERE generation = 1")
        for table in ("individuals", "survivors", "fronts", "merged"):
            db.execute(f"DELETE FROM {table} WHERE generation = 1")
        db.execute("DELETE FROM scores WHERE digest NOT IN (SELECT digest FROM individuals)")
    evolve(tmp_path, made)
    with History(tmp_path) as history:
        outcomes = [one.outcome for one in history.individuals(1)]
    shares = {one.figures[INHERITED] for one in outcomes if isinstance(one, Scored)}
    assert shares == {0.0}


def test_a_claim_that_rests_on_inherited_weights(tmp_path: Path) -> None:
    evolve(tmp_path, config(generations=2))
    sentence = api.open_run(tmp_path).verdict.sentence
    assert sentence != UNJUDGED
    assert "(by validation" not in sentence
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        db.execute("DELETE FROM scores WHERE split = 'test'")
    opened = api.open_run(tmp_path)
    assert opened.verdict.sentence == UNJUDGED
    assert opened.verdict.better == ()
    assert opened.summary.best is None


# --- the command line -------------------------------------------------------------------------------


BLOCKED = [word for name in doubles.REPLACED for word in ("--no-plugin", name)]
INSTANT = ("--plugin", "doubles", *BLOCKED, "--llm", "scripted:good", "--evaluator", "instant")
SMALL = ("--llm", "uniform", "--population", 3, "--epochs", 4, "--train-limit", 64, "--workers", 2)


@pytest.mark.long
def test_a_command_line_that_trains_children_as_long_as_the_seed_model(tmp_path: Path, ge: Ge) -> None:
    run = tmp_path / "run"
    asked = ("--generations", 1, "--inherit", "--rescore-seeds", 0, "--run", run)
    code, _, error = ge("evolve", SEED, *SMALL, *asked)
    assert code == 0, error
    told = [json.loads(line) for line in ge("log", run, "--json")[1].splitlines()]
    shares = {one["id"]: one.get("figures", {}).get(INHERITED) for one in told if one["outcome"] == "scored"}
    assert shares.pop(SEED_ID) is None
    assert shares
    assert all(0 < share <= 1 for share in shares.values())
    with History(run) as history:
        rows = history.query("SELECT digest, split, seed, outcome FROM scores")
        seed = history.digest_of(SEED_ID)
    for digest, split, number, text in rows:
        details = json.loads(text)["details"]
        inherits = digest != seed and (split, number) == ("validation", 0)
        assert (INHERITED in details["figures"]) == inherits
        share = details["figures"].get(INHERITED, 0.0)
        assert len(details["curve"]) == max(1, -(-4 * round(1 - 0.75 * share, 9) // 1))
    child = next(iter(shares))
    shown = ge("show", f"{run}:{child}")[1]
    assert f"{INHERITED} {100 * shares[child]:.1f} %" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--halving",), "inherit and halving exclude each other"),
        (("--command", "true {path}"), "--inherit does nothing where a program of yours scores"),
        (("--evaluator", "score.py:score"), "--inherit does nothing where a function of yours scores"),
        ((*INSTANT, "--checks", "seen"), "trains no child from its parent's weights"),
    ],
)
def test_an_inheritance_that_nobody_heeds(
    tmp_path: Path, ge: Ge, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "score.py").write_text("def score(path, budget):\n    return {'accuracy': 1.0}\n")
    code, _, error = ge("evolve", SEED, "--inherit", *words, "--run", tmp_path / "run")
    assert code == 2
    assert said in " ".join(error.split())
    assert not (tmp_path / "run").exists()

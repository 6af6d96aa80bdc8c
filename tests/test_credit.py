"""What a run knows of itself agrees with its statistics; an adaptive draw follows it and stays repeatable."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from pathlib import Path
from typing import Any

import doubles

from ge_engine import loop
from ge_engine.contracts import OperatorStats
from ge_engine.ledger.history import History
from ge_engine.ledger.statistics import operator_stats, statistics
from ge_engine.runs.audit import check
from ge_engine.search.credit import Credit, ThompsonSampling
from ge_engine.search.models import Models
from ge_engine.search.variation import MatingPool

REGISTRY = doubles.registry()


def run(folder: Path, **settings: Any) -> None:
    config = doubles.config(**{"generations": 4, "population": 12, "llm": "scripted:good", **settings})
    loop.run(doubles.seed(), config, REGISTRY, folder, lambda *_: None)


def test_what_a_run_knows_that_disagrees_with_its_statistics(tmp_path: Path) -> None:
    run(tmp_path / "run", llm="scripted:mixed")
    with History(tmp_path / "run") as history:
        known = operator_stats(history, 99)
        assert known == {
            factor: dataclasses.replace(stats, gain=0.0) for factor, stats in statistics(history).items()
        }
        assert operator_stats(history, 0) == {}
        early = operator_stats(history, 2)
    assert {dimension for dimension, _ in known} == {
        "operator", "persona", "intent", "grammar", "block", "model",
    }  # fmt: skip
    assert sum(t.children for t in early.values()) < sum(t.children for t in known.values())


def test_prose_that_a_generation_could_not_have_read(tmp_path: Path) -> None:
    run(tmp_path / "run", p_eot=1.0)
    with History(tmp_path / "run") as history:
        said = [len(Credit(history, number).prose("explain")) for number in range(5)]
        assert Credit(history, 99).prose("reduce") == (), "code is no prose"
    assert said[:2] == [0, 0]
    assert said == sorted(said)
    assert said[4] > 0


def test_an_adaptive_run_that_cannot_be_repeated(tmp_path: Path) -> None:
    run(tmp_path / "one", adaptive=True)
    run(tmp_path / "two", adaptive=True, evaluator="threaded", workers=2)
    with History(tmp_path / "one") as one, History(tmp_path / "two") as two:
        assert one.content() == two.content()
    assert check(tmp_path / "one") == []


class Told(ThompsonSampling):
    """Knows what it was told: children and better ones by name."""

    def __init__(self, **known: tuple[int, int]) -> None:
        super().__init__()
        self.known = known

    def trials(self, dimension: str, name: str) -> OperatorStats:
        return OperatorStats(*self.known.get(name, (0, 0)))


def test_a_success_that_is_not_drawn_more_often() -> None:
    personas = [REGISTRY.personas[name] for name in ("expert", "eccentric", "none")]
    pool = MatingPool(1, (), (), Told(expert=(4, 3), eccentric=(4, 1)))
    rng = random.Random(0)
    drawn = Counter(pool.pick(rng, "persona", personas).name for _ in range(3000))
    assert drawn["expert"] > drawn["none"] > drawn["eccentric"] > 100


def test_a_language_model_that_helps_and_is_not_asked_more_often() -> None:
    class Silent:
        replays = None

        def __init__(self, name: str) -> None:
            self.name = name

    models = Models({"a": Silent("one"), "b": Silent("two")}, [[("a", 0.5), ("b", 0.5)]])  # type: ignore[dict-item]
    odds = Told(one=(18, 17), two=(18, 1)).odds
    drawn = Counter(models.chosen(0, f"g1s{n}/0", n, odds) for n in range(1000))
    even = Counter(models.chosen(0, f"g1s{n}/0", n, Credit().odds) for n in range(1000))
    assert drawn["a"] > 800
    assert 400 < even["a"] < 600

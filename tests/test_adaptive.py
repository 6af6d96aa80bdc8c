"""An adaptive draw follows success, never loses the rest, and stays repeatable."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import doubles

from ge_engine import loop
from ge_engine.ledger import check
from ge_engine.search.adaptive import success_weights
from ge_engine.store.history import History
from ge_engine.store.statistics import statistics

REGISTRY = doubles.registry()


def run(folder: Path, **settings: Any) -> None:
    config = doubles.config(**{"generations": 4, "population": 12, "llm": "scripted:good", **settings})
    loop.run(doubles.seed(), config, REGISTRY, folder, lambda *_: None)


def test_weights_that_disagree_with_the_statistics(tmp_path: Path) -> None:
    run(tmp_path / "run", llm="scripted:mixed")
    with History(tmp_path / "run") as history:
        weights = success_weights(history, 99)
        rows = {(row.dimension, row.value): row for row in statistics(history)}
        assert success_weights(history, 0) == {}
        early = success_weights(history, 2)
    for key, weight in weights.items():
        assert weight == (rows[key].better + 1) / (rows[key].children + 2)
    assert early != weights


def test_an_adaptive_run_that_cannot_be_repeated(tmp_path: Path) -> None:
    run(tmp_path / "one", adaptive=True)
    run(tmp_path / "two", adaptive=True, evaluator="threaded", workers=2)
    with History(tmp_path / "one") as one, History(tmp_path / "two") as two:
        assert one.content() == two.content()
    assert check(tmp_path / "one") == []


def test_a_success_that_is_not_drawn_more_often() -> None:
    import random

    from ge_engine.search.slots import Pool

    personas = [REGISTRY.personas[name] for name in ("expert", "eccentric", "none")]
    weights = {("persona", "expert"): 0.9, ("persona", "eccentric"): 0.1}
    pool = Pool(1, (), (), weights)
    rng = random.Random(0)
    drawn = Counter(pool.pick(rng, "persona", personas).name for _ in range(3000))
    assert drawn["expert"] > drawn["none"] > drawn["eccentric"] > 100

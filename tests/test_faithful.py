"""The paper's method: its constants are told, failures cost no parent, equal parents cost no call."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import doubles
import pytest
from test_operators import context, scored

from ge_engine import loop
from ge_engine.config import load_config
from ge_engine.ledger.history import History
from ge_engine.outcome import Failed, Skipped
from ge_engine.views.live import open_view

REGISTRY = doubles.registry()


def test_constants_of_the_paper_that_are_not_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_view(tmp_path, load_config("paper", None, {})) as view:
        view.observe("stopping", {"reason": "that is all"})
    said = " ".join(capsys.readouterr().err.split())
    for constant in (
        "30 generations of 44",
        "p_mating 0.35",
        "p_mutation 0.8",
        "p_eot 0.25",
        "10 EoT elites",
        "44 elites",
        "temperature 0.05 to 0.4",
        "600 to 1400 tokens",
        "batch 216",
        "lr 0.1",
        "plateau schedule",
        "weight decay 0.0001",
        "224 px",
    ):
        assert constant in said, constant
    assert not load_config("paper", None, {}).adaptive
    assert load_config("paper", None, {}).islands == 1


def test_a_failed_child_that_deletes_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From generation 1 on every child fails in training: whoever lived goes on living, up to the elites."""
    plain = doubles._score

    def score(job: Any) -> Any:
        young = job.key.startswith(("g1", "g2"))
        return Failed("train", "crash", "it crashed") if young and job.split == "validation" else plain(job)

    monkeypatch.setattr(doubles, "_score", score)
    config = doubles.config(generations=3, population=8, elites=20, llm="scripted:good")
    loop.run(doubles.seed(), config, REGISTRY, tmp_path / "run", lambda *_: None)
    with History(tmp_path / "run") as history:
        failed = [one for one in history.individuals() if isinstance(one.outcome, Failed)]
        assert len([one for one in failed if one.generation]) > 8
        assert history.survivors(0) == history.survivors(1) == history.survivors(2)
        assert len(history.survivors(2)) > 4


@pytest.mark.parametrize("rng", range(5))
def test_parents_that_differ_in_no_block_and_cost_a_call(rng: int) -> None:
    seed = doubles.seed()
    twins = [scored(name, seed.genome, 0.5, 100) for name in ("g0s0", "g0s1")]
    proposal = REGISTRY.operators["mating"].propose(context(seed, *twins, rng=rng))
    with pytest.raises(StopIteration) as ended:
        next(proposal)
    assert isinstance(ended.value.value, Skipped)
    assert "differ in no block" in ended.value.value.reason


def test_a_tournament_that_wants_multiples_of_four() -> None:
    for size in (1, 2, 3, 5, 10, 11):
        everybody = [scored(f"g0s{n}", doubles.seed().genome, n / 20, 100 + n) for n in range(size)]
        directions: Any = {"accuracy": "max", "parameters": "min"}
        for k in (1, 3, 10, 2 * size):
            chosen = REGISTRY.selectors["nsga2"].select(everybody, k, directions, random.Random(1))
            assert len(chosen) == k

"""A run whose prompts somebody has answered, replayed: equal genomes, without a model or a training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ge_engine import loop
from ge_engine.ledger import History
from ge_engine.registry import load_registry

FIXTURE = Path(__file__).resolve().parent / "ledgers" / "answered_by_hand"


def told(folder: Path) -> list[Any]:
    """Of every child its parents, steps, genome, and figures or reason."""
    with History(folder) as history:
        return [
            (one.id, one.parents, one.steps, one.genome and one.genome.source, one.objectives)
            for one in history.individuals()
        ]


def test_a_replay_that_makes_other_genomes(tmp_path: Path) -> None:
    with History(FIXTURE) as history:
        seed, config, asked = history.seed, history.config, len(dict(history.replies()))
    settings = replace(
        config, llm=(f"replay:{FIXTURE}",), evaluator="recorded", evaluator_argument=str(FIXTURE)
    )
    loop.run(seed, settings, load_registry(["recorded"]), tmp_path / "again", lambda *_: None)
    assert told(tmp_path / "again") == told(FIXTURE)
    with History(tmp_path / "again") as history:
        assert len(dict(history.replies())) == asked
        assert history.fronts(history.next_generation() - 1) != ("seed",), "nobody gained anything"


def test_a_fixture_in_which_nobody_answered() -> None:
    children = [one for one in told(FIXTURE) if one[0] != "seed"]
    assert len({source for *_, source, _ in children if source}) >= 5
    assert any("redesign" in {step.operator for step in steps} for _, _, steps, _, _ in children)

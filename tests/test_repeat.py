"""Real training, the same command: the same figures to the last digit, whatever the number of workers.

Some 15 and 60 s of processor time: `make repeat`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ge_engine import loop
from ge_engine.config import config_from_dict
from ge_engine.genome import Seed
from ge_engine.ledger.history import History
from ge_engine.ledger.records import from_json
from ge_engine.ledger.score_key import ScoreKey
from ge_engine.registry import load_registry

SEED = Path(__file__).resolve().parent.parent / "examples" / "plain_cnn.py"


def figures(folder: Path, workers: int, **settings: Any) -> dict[tuple[str, str], Any]:
    """Objectives and curve by digest and split, after a run in `folder`."""
    config = config_from_dict(
        {"llm": "uniform", "workers": workers, "halving": True, "rescore_seeds": 1, **settings}
    )
    loop.run(Seed.load(SEED), config, load_registry(), folder, lambda *_: None)
    with History(folder) as history:
        rows = history.query("SELECT digest, split, seed, epochs, outcome FROM scores")
        ids = [(one.id, one.genome.digest if one.genome else "") for one in history.individuals()]
    found: dict[tuple[str, str], Any] = {("individuals", ""): ids}
    for digest, *key, text in rows:
        data = from_json(text)
        found[digest, str(ScoreKey(*key))] = (
            data.get("scored"),
            data.get("failed"),
            data.get("details", {}).get("curve"),
        )
    return found


@pytest.mark.slow
def test_figures_that_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    small = {"generations": 1, "population": 3, "recipe": {"epochs": 2, "train_limit": 64, "ema": 0.5}}
    alone = figures(tmp_path / "alone", 1, **small)
    together = figures(tmp_path / "together", 2, **small)
    assert alone == together
    assert sum(split == "validation" for _, split in alone) > 1


@pytest.mark.slow
def test_a_longer_run_that_does_not_repeat(tmp_path: Path) -> None:
    longer = {"generations": 3, "population": 6, "recipe": {"epochs": 4, "train_limit": 400}}
    runs = [figures(tmp_path / str(n), workers, **longer) for n, workers in enumerate((1, 2, 2))]
    assert runs[0] == runs[1] == runs[2]

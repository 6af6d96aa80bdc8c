"""`bench_reach`: its lists name what is there, its bounds are held, and a short run of it works."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from benchmarks_here import FOLDER

sys.path.insert(0, str(FOLDER.parent))
from benchmarks.bench_reach import FULFILLED, SEEDS, main
from benchmarks.reached import Reach, Wish, unfulfilled, wishes
from ge_engine.ledger import History

TEXTS = {file.stem: file.read_text("utf-8") for file in SEEDS}
GOOD = Reach(100, (), (0.4,) * 50 + (1.0,) * 40, 25, (0.7, 0.9), 90, ())


@pytest.mark.parametrize("kind", FULFILLED)
def test_a_wish_for_what_no_seed_has(kind: str) -> None:
    listed = wishes(kind)
    assert len(listed) >= {"size": 25, "kind": 50}[kind]
    assert {wish.seed for wish in listed} == set(TEXTS)
    for wish in listed:
        found = re.findall(wish.number or wish.fewer or wish.more, TEXTS[wish.seed])
        assert len(found) == 1 if wish.number else found or wish.more, wish


def test_a_wish_that_counts_as_granted_by_the_seed() -> None:
    for name, text in TEXTS.items():
        own = [wish for kind in FULFILLED for wish in wishes(kind) if wish.seed == name]
        assert unfulfilled(own, text, [text]) == own
    assert Wish("s", "w", number=r"a=(\d)").granted("a=1", "a=2")
    assert Wish("s", "w", fewer="relu").granted("relu relu", "relu")
    assert Wish("s", "w", more="relu").granted("relu", "relu relu")


@pytest.mark.parametrize(
    ("reach", "missed"),
    [
        (GOOD, []),
        (Reach(100, (), (0.4,) * 50 + (1.0,) * 39, 25, (), 90, ()), ["89 passed checks"]),
        (Reach(100, (), (0.5,) * 90, 24, (), 90, ()), ["24 of another structure", "spread 0.00"]),
        (Reach(100, (), GOOD.sizes, 25, (0.7, 0.99), 89, ()), ["89 distinct", "1 of 2 smaller by 5 %"]),
        (Reach(100, (), GOOD.sizes, 25, (0.9, 0.9, 0.5), 90, ()), ["1 of 3 smaller by 20 %"]),
    ],
)
def test_a_bound_that_is_missed_unnoticed(reach: Reach, missed: list[str]) -> None:
    assert reach.missed() == missed


@pytest.mark.long
def test_a_bench_that_does_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seed = next(file for file in SEEDS if file.stem == "tabular_mlp")
    monkeypatch.chdir(FOLDER.parent)
    monkeypatch.setattr(sys, "argv", ["bench_reach", "--slots", "2", "--keep", str(tmp_path), str(seed)])
    code = main()
    shown = capsys.readouterr().out
    assert re.search(r"^tabular_mlp +\d/2", shown, re.MULTILINE)
    assert code == int("missed:" in shown)
    with History(tmp_path / "tabular_mlp") as history:
        probe = history.probe(history.seed.genome.digest)
    assert probe is not None
    assert {"HIDDEN", "DROPOUT", "Dense"} < probe.executed, "values that the network reads are executed"


def test_a_seed_that_is_named_and_no_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench_reach", "plain_cnn"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "plain_cnn cannot be read" in said
    assert "Give the path of a Python file." in said

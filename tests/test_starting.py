"""What a run begins with beside its seed model: `--start FILE`, RUN or RUN:ID."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import doubles
import pytest
from conftest import Ge
from test_adding import BOTH, DOUBLES, GOOD, REGISTRY, Stop, by_hand, content, evolve, genome, write

from ge_engine import loop
from ge_engine.errors import GeError
from ge_engine.genome import Seed
from ge_engine.ledger.history import History
from ge_engine.population import SEED_ID
from ge_engine.runs.audit import check


def digests(folder: Path) -> list[str]:
    """Of what was made by hand, in the order of the run."""
    return [one.genome.digest for one in by_hand(folder) if one.genome]


@BOTH
def test_a_run_that_begins_without_its_starting_models(tmp_path: Path, schedule: str) -> None:
    files = tuple(str(write(tmp_path, number)) for number in GOOD[:2])
    evolve(tmp_path / "run", start=(*files, files[0]), schedule=schedule, llm="scripted:good")
    first, second = by_hand(tmp_path / "run")
    assert digests(tmp_path / "run") == [genome(number).digest for number in GOOD[:2]]
    assert {first.generation, second.generation} == {0}
    assert first.scored
    assert files[0] in first.steps[0].note
    with History(tmp_path / "run") as history:
        drawn = [one for one in history.individuals() if one.id not in (SEED_ID, first.id, second.id)]
        parents = {parent for one in drawn for parent in one.parents}
        assert len(drawn) == history.config.generations * history.config.population, "they cost no child"
    assert parents & {first.id, second.id}, "the search goes on from them"
    assert check(tmp_path / "run") == []


def test_an_earlier_runs_front_that_is_not_begun_with(tmp_path: Path) -> None:
    evolve(tmp_path / "before", llm="scripted:good")
    with History(tmp_path / "before") as history:
        front = [one for one in history.fronts(history.next_generation() - 1) if one != SEED_ID]
        wanted = [found.genome.digest for one in front if (found := history.individual(one)) and found.genome]
    assert wanted
    evolve(tmp_path / "all", start=(str(tmp_path / "before"),), llm="scripted:good")
    assert digests(tmp_path / "all") == wanted
    commented = Seed.from_bytes(b"# a remark\n" + doubles.SEED, Path("seed.py"))
    config = doubles.config(start=(str(tmp_path / "before"),), llm="scripted:good")
    loop.run(commented, config, REGISTRY, tmp_path / "commented", lambda *_: None)
    assert digests(tmp_path / "commented") == wanted, "its own seed model, but for a comment, is no start"
    evolve(tmp_path / "one", start=(f"{tmp_path / 'before'}:{front[0]}",), llm="scripted:good")
    assert digests(tmp_path / "one") == wanted[:1]


@BOTH
@pytest.mark.parametrize("event", ["seed_scored", "generation_started", "submitted"])
def test_a_killed_run_that_begins_with_them_twice_or_not(tmp_path: Path, event: str, schedule: str) -> None:
    """After the first generation was planned their file may be gone."""
    file = write(tmp_path, GOOD[0])
    settings: dict[str, Any] = {"start": (str(file),), "llm": "scripted:good", "schedule": schedule}
    evolve(tmp_path / "whole", **settings)
    seen = []

    def stop(name: str, _: Any) -> None:
        seen.append(name)
        if name == event:
            raise Stop

    with pytest.raises(Stop):
        evolve(tmp_path / "cut", stop, **settings)
    if "generation_started" in seen:
        file.unlink()
    evolve(tmp_path / "cut", **settings)
    if schedule == "generational":
        assert content(tmp_path / "cut") == content(tmp_path / "whole")
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")


def test_a_replay_that_begins_otherwise(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD[0])
    evolve(tmp_path / "run", start=(str(file),), llm="scripted:good")
    file.unlink()
    evolve(tmp_path / "again", llm=f"replay:{tmp_path / 'run'}")
    assert digests(tmp_path / "again") == digests(tmp_path / "run")


@pytest.mark.parametrize(
    ("start", "says"),
    [
        ("nowhere.py", "cannot be read"),
        ("same.py", "the same as the seed model"),
        ("other.py", "not in the seed model"),
        ("run:g7s7", "no code of 'g7s7'"),
        ("run:seed", "the same as the seed model"),
        ("empty", "finished no generation"),
    ],
)
def test_a_model_to_begin_with_that_is_refused_after_a_training(
    start: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("same.py").write_bytes(doubles.SEED)
    Path("other.py").write_bytes(doubles.SEED + b"\nprint('elsewhere')\n")
    evolve(Path("run"), llm="scripted:good")

    def stop(name: str, _: Any) -> None:
        if name == "seed_scored":
            raise Stop

    with pytest.raises(Stop):
        evolve(Path("empty"), stop, llm="scripted:good")
    heard: list[str] = []
    with pytest.raises(GeError, match=says):
        evolve(Path("new"), lambda name, _: heard.append(name), start=(start,), llm="scripted:good")
    assert "seed_scored" not in heard
    evolve(Path("new"), llm="scripted:good")


def test_a_flag_that_begins_with_nothing(tmp_path: Path, ge: Ge) -> None:
    seed, file = tmp_path / "seed.py", write(tmp_path, GOOD[0])
    seed.write_bytes(doubles.SEED)
    (tmp_path / "own.toml").write_text('checks = ["seen"]\noperators = ["mutation"]\nrescore_seeds = 0\n')
    own = ["--config", tmp_path / "own.toml", "--llm", "scripted:good", "--generations", "1"]
    words = [*own, "--population", "2", "--run", tmp_path / "run"]
    code, out, err = ge("evolve", seed, "--start", file, *words, *DOUBLES)
    assert code in (0, 1), (out, err)
    assert len(by_hand(tmp_path / "run")) == 1

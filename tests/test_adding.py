"""Children that somebody has made by hand: in a run that goes on, was cut off, or has ended."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import doubles
import pytest
from conftest import Ge

from ge_engine import loop
from ge_engine.errors import ConfigError, GeError
from ge_engine.genome import Genome, Seed
from ge_engine.ledger import Ledger
from ge_engine.ledger.hand_made import HandMade, hand_made, leave
from ge_engine.ledger.history import History
from ge_engine.outcome import Failed, Rejected, Scored
from ge_engine.population import HAND, SEED_ID, Child
from ge_engine.runs import adding
from ge_engine.runs.audit import check
from ge_engine.search.rescoring import OwnSettings
from ge_engine.variant import as_genome
from tests.sampled import everyday

HERE = Path(__file__).resolve().parent
PLAIN = doubles.registry()
REGISTRY = dataclasses.replace(PLAIN, language_models={**PLAIN.language_models, "replay": doubles.Replay()})
OWN = OwnSettings(evaluator="instant")
THREADED = OwnSettings(evaluator="threaded")
DOUBLES = ["--plugin", "doubles", "--evaluator", "instant"]
DOUBLES += [word for name in doubles.REPLACED for word in ("--no-plugin", name)]
BOTH = pytest.mark.parametrize("schedule", ["generational", "steady"])


class Stop(Exception):
    pass


def variant(number: int) -> bytes:
    """The seed with other figures in two blocks."""
    text = doubles.SEED.replace(b"return self.layer(x) * 3", b"return self.layer(x) * %d" % number)
    return text.replace(b"momentum=90", b"momentum=%d" % number)


def genome(number: int) -> Genome:
    return as_genome(doubles.seed(), Seed.from_bytes(variant(number), Path("mine.py")))


def good(count: int) -> list[int]:
    """Numbers of variants whose training does not fail."""
    numbers = (n for n in range(1000, 9999) if int(genome(n).digest[12:14], 16) >= 16)
    return [next(numbers) for _ in range(count)]


GOOD = good(4)


def evolve(folder: Path, observe: Any = lambda *_: None, **settings: Any) -> loop.Result:
    return loop.run(doubles.seed(), doubles.config(**settings), REGISTRY, folder, observe)


def write(folder: Path, number: int) -> Path:
    file = folder / f"mine{number}.py"
    file.write_bytes(variant(number))
    return file


def add(folder: Path, *numbers: int, note: str = "", wait: bool = True, **more: Any) -> list[Child | None]:
    files = [write(folder.parent, number) for number in numbers]
    own = more.pop("own", OWN)
    return adding.add(folder, files, note, wait, REGISTRY, more.pop("observe", lambda *_: None), own, **more)


def by_hand(folder: Path) -> list[Child]:
    with History(folder) as history:
        return [one for one in history.individuals() if any(s.operator == HAND for s in one.steps)]


def content(folder: Path) -> Mapping[str, Any]:
    with History(folder) as history:
        return history.content()


def leaving(folder: Path, event: str, *numbers: int) -> Any:
    """An observer that leaves variants with the run at the first such event."""
    left = list(numbers)

    def observe(name: str, _: Any) -> None:
        if name == event and left:
            leave(folder, [HandMade(genome(number), "mine") for number in left])
            left.clear()

    return observe


@BOTH
def test_a_child_that_a_finished_run_does_not_take_in(tmp_path: Path, schedule: str) -> None:
    folder = tmp_path / "run"
    evolve(folder, schedule=schedule)
    before = content(folder)
    first, second = add(folder, *GOOD[:2], note="wider")
    assert first is not None
    assert second is not None
    assert isinstance(first.outcome, Scored)
    assert first.genome is not None
    assert first.objectives == doubles.figures(genome(GOOD[0]))
    assert first.genome.source == variant(GOOD[0])
    assert [(s.operator, s.address, s.note) for s in first.steps] == [
        (HAND, "Small.forward", "wider"),
        (HAND, "get_optimizer", "wider"),
    ]
    assert (first.parents, second.slot - first.slot) == ((SEED_ID,), 1)
    assert check(folder) == []
    after = content(folder)
    assert len(after["scores"]) == len(before["scores"]) + 2 + len(
        {first.id, second.id} & {row[2] for row in after["fronts"] if row[0] == first.generation}
    ), "one score each, and one more on the test split for who is on the front"
    with History(folder) as history:
        assert {first.id, second.id} <= set(history.merged(first.generation))
        assert history.stopped_because == "finished: 3/3 generations"
    again = content(folder)
    evolve(folder, schedule=schedule)
    assert content(folder) == again, "the run has nothing to do"


@BOTH
def test_a_child_by_hand_that_counts_as_a_generation(tmp_path: Path, schedule: str) -> None:
    folder = tmp_path / "run"
    evolve(folder, schedule=schedule, generations=2)
    add(folder, GOOD[0])
    evolve(folder, schedule=schedule, generations=4)
    with History(folder) as history:
        everybody = len(list(history.individuals()))
    assert everybody == 1 + 4 * doubles.config().population + len(by_hand(folder))
    assert check(folder) == []


@BOTH
@pytest.mark.parametrize("event", ["run_started", "generation_started", "outcome", "survivors"])
def test_a_child_that_a_run_does_not_take_in_while_it_goes_on(
    tmp_path: Path, schedule: str, event: str
) -> None:
    folder = tmp_path / "run"
    evolve(folder, leaving(folder, event, GOOD[0], GOOD[1]), schedule=schedule, evaluator="threaded")
    assert [one.objectives for one in by_hand(folder)] == [
        doubles.figures(genome(number)) for number in GOOD[:2]
    ]
    assert check(folder) == []


def test_a_child_whose_verdict_depends_on_children_of_its_generation(tmp_path: Path) -> None:
    """It has its verdict before the others begin, so that it can be added while they are bred, and before."""
    seen = doubles.Observer()
    leaves = leaving(tmp_path / "run", "seed_scored", GOOD[0])

    def observe(name: str, data: Mapping[str, Any]) -> None:
        leaves(name, data)
        seen(name, data)

    evolve(tmp_path / "run", observe, generations=1)
    order = [name for name, data in seen.events if name == "asked" or data.get("individual") == "g0s6"]
    assert order.index("admitted") < order.index("asked")


def test_a_child_that_is_left_at_the_end_of_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    seen: list[int] = []

    def observe(name: str, data: Mapping[str, Any]) -> None:
        if name == "generation_finished":
            seen.append(data["generation"])
            if data["generation"] == 2:
                leave(folder, [HandMade(genome(GOOD[0]))])

    result = evolve(folder, observe)
    assert seen == [0, 1, 2, 3]
    (child,) = by_hand(folder)
    assert child.scored
    assert result.stopped_because == "finished: 3/3 generations"


@BOTH
@pytest.mark.parametrize("event", everyday(["reply", "admitted", "outcome", "survivors"], "reply", "outcome"))
def test_a_killed_run_that_scores_a_child_by_hand_twice_or_elsewhere(
    tmp_path: Path, schedule: str, event: str
) -> None:
    """Killed after each `event`, from the first generation on."""
    scored: list[str] = []

    def run(folder: Path, stops: int) -> None:
        leaves = leaving(folder, "seed_scored", *GOOD[:2])
        for session in range(stops + 1):
            count = [session + 1 if session < stops else 10**9]

            def observe(name: str, data: Mapping[str, Any], count: list[int] = count) -> None:
                leaves(name, data)
                if name == "outcome" and folder.name == "killed":
                    scored.append(f"{data['individual']}/{data['split']}")
                count[0] -= name == event
                if not count[0]:
                    raise Stop

            try:
                evolve(folder, observe, schedule=schedule, workers=1)
            except Stop:
                continue

    run(tmp_path / "whole", 0)
    run(tmp_path / "killed", 4)
    assert len(scored) == len(set(scored))
    assert check(tmp_path / "killed") == []
    assert len(by_hand(tmp_path / "killed")) == 2
    if schedule == "generational":
        assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_a_child_that_is_lost_when_the_run_is_killed_before_its_seed_is_scored(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    leaves = leaving(folder, "run_started", GOOD[0])

    def observe(name: str, data: Mapping[str, Any]) -> None:
        leaves(name, data)
        if name == "submitted":
            raise Stop

    with pytest.raises(Stop):
        evolve(folder, observe)
    evolve(folder, generations=1)
    assert [(one.id, one.scored) for one in by_hand(folder)] == [("g0s6", True)]


@BOTH
def test_a_child_that_is_added_in_the_middle_of_a_generation(tmp_path: Path, schedule: str) -> None:
    """It is scored at once; the run then goes on, and keeps it and its score."""
    folder = tmp_path / "run"
    count = [9]

    def observe(name: str, _: Any) -> None:
        count[0] -= name == "reply"
        if not count[0]:
            raise Stop

    with pytest.raises(Stop):
        evolve(folder, observe, schedule=schedule, workers=1)
    (child,) = add(folder, GOOD[0])
    assert child is not None
    assert child.scored
    (second,) = add(folder, GOOD[1])
    assert second is not None
    assert (second.generation, second.slot) == (child.generation, child.slot + 1)
    seen = doubles.Observer()
    evolve(folder, seen, schedule=schedule, workers=1)
    assert check(folder) == []
    assert [one.id for one in by_hand(folder)] == [child.id, second.id]
    trained = [data["individual"] for data in seen.of("submitted") if data["split"] == "validation"]
    assert child.id not in trained
    with History(folder) as history:
        assert history.unmerged(99) == ()


@BOTH
def test_a_replay_without_the_children_by_hand(tmp_path: Path, schedule: str) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    evolve(first, leaving(first, "survivors", GOOD[0]), schedule=schedule, evaluator="threaded", workers=2)
    add(first, GOOD[1], own=THREADED)
    add(first, GOOD[2], own=THREADED)
    evolve(again, schedule=schedule, llm=f"replay:{first}", evaluator="threaded", workers=2)
    assert content(again) == content(first)


def test_islands_that_children_by_hand_are_not_dealt_out_to(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    evolve(folder, leaving(folder, "survivors", *GOOD[:3]), islands=2, migrate_every=1, migrants=1)
    assert {one.island for one in by_hand(folder)} == {0, 1}
    assert check(folder) == []


@BOTH
def test_a_child_by_hand_that_halving_leaves_without_an_outcome(tmp_path: Path, schedule: str) -> None:
    folder = tmp_path / "run"
    evolve(
        folder,
        leaving(folder, "survivors", GOOD[0]),
        schedule=schedule,
        evaluator="threaded",
        halving=True,
        recipe={"epochs": 4},
    )
    (added,) = add(folder, GOOD[1], own=THREADED)
    assert added is not None
    assert all(isinstance(one.outcome, Scored | Failed) for one in by_hand(folder))
    assert check(folder) == []


def test_a_child_that_the_checks_refuse_and_that_is_trained(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    evolve(folder)

    class Refusing(doubles.Seen):
        name = "refusing"

        def check(self, candidate: Any) -> Rejected | None:
            return Rejected("refusing", f"{candidate.patch.address} is not for you")

    checks = {**REGISTRY.checks, "seen": Refusing()}
    registry = dataclasses.replace(REGISTRY, checks=checks)
    file = write(tmp_path, GOOD[0])
    (child,) = adding.add(folder, [file], "", True, registry, lambda *_: None, OWN)
    assert child is not None
    assert child.outcome == Rejected("refusing", "Small.forward is not for you")
    assert check(folder) == []
    with History(folder) as history:
        assert history.score(genome(GOOD[0]).digest) is None


def test_a_child_that_the_run_has_and_that_is_added_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    evolve(folder)
    (child,) = add(folder, GOOD[0])
    assert child is not None
    before = content(folder)
    for numbers in ([GOOD[0]], [GOOD[1], GOOD[0]], [GOOD[1], GOOD[1]]):
        with pytest.raises(
            ConfigError, match=rf"mine\d+\.py is the same as ({child.id}|another of the files)"
        ):
            add(folder, *numbers)
    assert content(folder) == before


def test_a_child_that_waits_already_and_is_left_twice(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    evolve(folder)
    with Ledger.open(folder):
        told = doubles.Observer()
        for _ in range(2):
            assert add(folder, GOOD[0], wait=False, observe=told) == [None]
        (event,) = told.of("left")
        assert f"process {os.getpid()}" in event["reason"] or "this process" in event["reason"]
    (child,) = add(folder, GOOD[0])
    assert child is not None
    assert child.scored
    assert [one.id for one in by_hand(folder)] == [child.id]


def test_a_run_by_other_means_that_takes_a_child_in_before_it_may(tmp_path: Path) -> None:
    """Nothing is left in a run database with which this session may not go on."""
    folder = tmp_path / "run"
    evolve(folder)
    with pytest.raises(GeError, match="is scored by"):
        add(folder, GOOD[0], own=OwnSettings())
    with History(folder) as history:
        assert not hand_made(history, None)
    assert by_hand(folder) == []


@pytest.mark.parametrize("schedule", everyday(["generational", "steady"], "steady"))
def test_a_child_that_is_killed_with_the_run_that_took_it_in(tmp_path: Path, schedule: str) -> None:
    """SIGKILL at its training; who adds it waits for the run, and then trains it."""
    folder = tmp_path / "run"
    command = [sys.executable, str(HERE / "killed_with.py"), str(folder), schedule, str(GOOD[0])]
    path = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not [one for one in by_hand(folder) if one.scored]
    evolve(folder, schedule=schedule)
    (child,) = by_hand(folder)
    assert child.objectives == doubles.figures(genome(GOOD[0]))
    assert check(folder) == []


# --- the command -----------------------------------------------------------------------------------


def test_a_command_that_does_not_tell_what_became_of_a_file(tmp_path: Path, ge: Ge) -> None:
    folder = tmp_path / "run"
    evolve(folder)
    bad = next(n for n in range(1000, 9999) if int(genome(n).digest[12:14], 16) < 16)
    code, out, err = ge("add", folder, write(tmp_path, GOOD[0]), "--note", "mine", *DOUBLES)
    assert (code, "g3s0" in out, "Traceback" in err) == (0, True, False), (out, err)
    assert "within noise of the baseline" in out
    code, out, _ = ge("add", folder, write(tmp_path, bad), "--json", *DOUBLES)
    record = json.loads(out)
    assert code == 1
    assert (record["outcome"], record["stage"]) == ("failed", "train")
    assert record["baseline"].keys() == {"accuracy", "parameters"}
    code, _, err = ge("add", folder, write(tmp_path, GOOD[0]), *DOUBLES)
    assert code == 2
    assert "is the same as g3s0" in err
    for command in ("log", "report", "show", "diff", "blame"):
        code, out, err = ge(command, folder if command in ("log", "report") else f"{folder}:g3s0")
        assert (code, "Traceback" in err) == (1 if command == "diff" else 0, False), (command, out, err)
    assert "[mine]" in ge("show", f"{folder}:g3s0")[1]
    assert "hand" in ge("log", folder, "--stats")[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"class Net(:\n", "is not valid Python: line 1"),
        (doubles.SEED, "is the same as the seed model"),
        (doubles.SEED.replace(b"import torch\n", b"import torch\nSIZE = 3\nprint(SIZE)\n", 1), "line 5"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_added_and_has_no_sentence(
    tmp_path: Path, ge: Ge, text: bytes | None, words: str
) -> None:
    folder, file = tmp_path / "run", tmp_path / "mine.py"
    evolve(folder)
    before = content(folder)
    if text is not None:
        file.write_bytes(text)
    good_file = write(tmp_path, GOOD[0])
    code, _, err = ge("add", folder, good_file, file, *DOUBLES)
    assert code == 2
    assert words in err
    assert content(folder) == before, "all files or none"


def test_a_folder_that_is_no_run(tmp_path: Path, ge: Ge) -> None:
    code, _, err = ge("add", tmp_path, write(tmp_path, GOOD[0]))
    assert (code, "There is no run" in err) == (2, True)

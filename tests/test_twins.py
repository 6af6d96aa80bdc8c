"""Who stands for another: the scored for their function, anybody whom the code alone decided for its code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import doubles
import pytest

from ge_engine import loop
from ge_engine.contracts import Probe
from ge_engine.genome import Genome
from ge_engine.ledger import ChildRecord, Ledger
from ge_engine.ledger.history import History
from ge_engine.ledger.score_key import VALIDATION
from ge_engine.outcome import Failed, Outcome, Rejected, Scored
from ge_engine.patch import Patch, apply
from ge_engine.population import Individual
from ge_engine.runs.audit import check
from ge_engine.search.child import in_vain

REGISTRY = doubles.registry()
SEED = doubles.seed()
KINDS = 12
MEMORY = Failed("train", "out of memory", "it wanted 90 GiB")


def function(genome: Genome) -> str:
    """A run has only a few functions: other code, the same function."""
    return f"function {int(genome.digest[:8], 16) % KINDS}"


def alike(genome: Genome) -> Probe:
    facts = {"parameters": doubles.figures(genome)["parameters"]}
    return doubles.Probe(output_shape=(2, 10), facts=facts, fingerprint=function(genome))


def hungry(job: Any) -> Outcome:
    """Half of all genomes, whatever their function, fail for want of memory."""
    lucky = job.key == "seed" or int(job.genome.digest[-2:], 16) % 2
    return Scored(doubles.figures(job.genome)) if lucky else MEMORY


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubles, "_probe", alike)
    monkeypatch.setattr(doubles, "_score", hungry)


def run(folder: Path, observe: Any = lambda *_: None, **settings: Any) -> None:
    plain = {"llm": "scripted:good", "generations": 5, "population": 8, "workers": 1}
    loop.run(SEED, doubles.config(**{**plain, **settings}), REGISTRY, folder, observe)


@pytest.mark.parametrize("schedule", ["generational", "steady"])
@pytest.mark.usefixtures("twins")
def test_a_twin_that_failed_and_stands_for_a_good_child(tmp_path: Path, schedule: str) -> None:
    run(tmp_path / "run", schedule=schedule)
    assert check(tmp_path / "run") == []
    failed: set[str] = set()
    revived, refused = 0, 0
    with History(tmp_path / "run") as history:
        everybody = {one.id: one for one in history.individuals()}
        ended = {i: n for n in range(len(history.generations())) for i in history.merged(n)}
    for one in everybody.values():
        if isinstance(one.outcome, Rejected) and one.outcome.stage == "seen-function":
            twin = everybody[one.outcome.reason.rpartition(" ")[2]]
            assert isinstance(twin.outcome, Scored) or ended[twin.id] >= one.generation, (one.id, twin.id)
            refused += 1
        elif one.genome is not None and not isinstance(one.outcome, Rejected):
            revived += isinstance(one.outcome, Scored) and function(one.genome) in failed
            failed |= {function(one.genome)} if isinstance(one.outcome, Failed) else set()
    assert revived
    assert refused


def test_code_that_was_refused_for_a_twin_that_failed_and_is_never_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """g0s1 is refused as g0s0's twin, which then fails; the same code comes again in the next generation."""
    numbers = {"g0s0/0": "11", "g0s1/0": "12", "g1s0/0": "12", "g1s1/0": "11"}

    def text(model: doubles.Scripted, request: Any) -> str:
        return SEED.genome.blocks["Net.forward"].code.replace("5", numbers[request.key])

    def probe(genome: Genome) -> Probe:
        return replace(alike(genome), fingerprint="seed" if genome.digest == SEED.genome.digest else "child")

    def score(job: Any) -> Outcome:
        return MEMORY if job.key == "g0s0" else Scored(doubles.figures(job.genome))

    monkeypatch.setattr(doubles.Scripted, "_text", text)
    monkeypatch.setattr(doubles, "_probe", probe)
    monkeypatch.setattr(doubles, "_score", score)
    run(tmp_path / "run", generations=2, population=2, blocks=["Net.forward"], p_mating=0.0, p_mutation=1.0)
    with History(tmp_path / "run") as history:
        outcomes = {one.id: one.outcome for one in history.individuals()}
    assert outcomes["g0s0"] == MEMORY
    assert outcomes["g0s1"] == Rejected("seen-function", "it computes the same as g0s0")
    assert isinstance(outcomes["g1s0"], Scored)
    assert outcomes["g1s1"] == Rejected("seen", "it is the same as g0s0")


@pytest.mark.parametrize("repairs", [0, 3])
def test_a_block_without_effect_that_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repairs: int
) -> None:
    """What is rewritten in it changes nothing that the parent computes: another draw is the repair."""

    def probe(genome: Genome) -> Probe:
        return replace(alike(genome), fingerprint=genome.text.partition("def get_optimizer")[0])

    monkeypatch.setattr(doubles, "_probe", probe)
    monkeypatch.setattr(doubles, "_score", lambda job: Scored(doubles.figures(job.genome)))
    run(tmp_path / "run", generations=2, repairs=repairs, p_mating=0.0, p_mutation=1.0, p_eot=0.0)
    assert check(tmp_path / "run") == []
    with History(tmp_path / "run") as history:
        children = [one for one in history.individuals() if one.id != "seed"]
        calls = {one.id: len(list(history.calls(one.id))) for one in children}
    void = [one for one in children if isinstance(one.outcome, Rejected)]
    drawn = [one for one in children if one.steps[0].note.startswith("drawn anew: get_optimizer of ")]
    assert {one.outcome.stage for one in void} <= {"seen-function"}  # type: ignore[union-attr]
    if not repairs:
        assert void
        assert not drawn
    else:
        assert not void
        assert drawn
        assert all(calls[one.id] == 1 + one.steps[0].note.count("drawn anew") for one in drawn)


def test_a_mating_that_gives_the_other_parent_and_is_said_to_have_no_effect() -> None:
    assert in_vain("Net", "g0s1", "g0s1") == "Net of g0s1 was rewritten without effect"
    assert in_vain("Net", "g0s1", "g0s2") == "Net of g0s1 was rewritten to what g0s2 computes"


class Stop(Exception):
    pass


@pytest.mark.usefixtures("twins")
def test_twins_that_are_judged_otherwise_after_a_crash(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    for session in range(9):
        left = [4 + session if session < 8 else 10**9]

        def crash(name: str, data: Mapping[str, Any], left: list[int] = left) -> None:
            left[0] -= name in ("outcome", "rejected", "survivors")
            if not left[0]:
                raise Stop

        try:
            run(tmp_path / "killed", crash)
        except Stop:
            continue
    with History(tmp_path / "whole") as one, History(tmp_path / "killed") as other:
        assert one.content() == other.content()


# --- by hand ------------------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.create(tmp_path / "run", SEED, doubles.config()) as made:
        seed = Individual("seed", 0, -1, (), (), SEED.genome)
        made.record_children([ChildRecord(seed, "fs", None)])
        yield made


def child(number: int) -> Individual:
    code = SEED.genome.blocks["Net.forward"].code.replace("5", str(6 + number))
    genome = apply(SEED.genome, Patch("Net.forward", code))
    assert isinstance(genome, Genome)
    return Individual(f"g0s{number}", 0, number, ("seed",), (), genome)


def digest(one: Individual) -> str:
    assert one.genome is not None
    return one.genome.digest


@pytest.mark.parametrize(
    ("outcome", "stands"),
    [
        (Scored({"accuracy": 0.5, "parameters": 1.0}), True),
        (Failed("train", "stopped", "behind others after 1 epoch"), True),
        (MEMORY, False),
        (Failed("train", "timeout", "still running after 120 s"), False),
        (Failed("train", "too slow", "a step takes 9 s"), False),
        (Failed("train", "crash", "killed", "infrastructure"), False),
        (Failed("train", "not finite", "the loss is NaN"), False),
        (Rejected("constraint", "latency<1 does not hold"), False),
    ],
    ids=lambda value: value.kind if isinstance(value, Failed) else type(value).__name__,
)
def test_a_function_for_which_the_wrong_ones_stand(ledger: Ledger, outcome: Outcome, stands: bool) -> None:
    first, second = child(0), child(1)
    ledger.start_generation(0, 2)
    twin = Rejected("seen-function", "it computes the same as g0s0")
    ledger.record_children([ChildRecord(first, "f", None), ChildRecord(second, "f", twin)])
    assert ledger.seen_function("f", 1) == "g0s0"  # it may yet be scored
    ledger.add_score(digest(first), VALIDATION, outcome)
    ledger.finish_generation(0, [["seed"]], ["seed"], ["g0s0"])
    assert ledger.seen_function("f", 1) == ("g0s0" if stands else None)
    assert ledger.seen_function("fs", 1) == "seed"
    assert ledger.seen(digest(second), 1) == ("g0s1" if stands else None)
    assert ledger.seen(digest(first), 1) == "g0s0", "its own score is known, whatever it is"


def test_a_score_that_came_later_than_the_generation_knew(ledger: Ledger) -> None:
    """A resumed generation judges by what had entered the population when it began, as the first time."""
    one = child(0)
    ledger.record_children([ChildRecord(one, "f", None)])
    ledger.add_score(digest(one), VALIDATION, MEMORY)
    ledger.finish_generation(3, [["seed"]], ["seed"], ["g0s0"])
    assert ledger.seen_function("f", 2) == "g0s0"
    assert ledger.seen_function("f", 3) == "g0s0"
    assert ledger.seen_function("f", 4) is None


@pytest.mark.parametrize(
    ("stage", "stands"), [("names", True), ("shape", True), ("probe", False), ("plugin", False)]
)
def test_code_that_nobody_could_judge_and_is_never_judged(ledger: Ledger, stage: str, stands: bool) -> None:
    one = child(0)
    ledger.record_children([ChildRecord(one, "", Rejected(stage, "no"))])
    assert ledger.seen(digest(one), 1) == ("g0s0" if stands else None)

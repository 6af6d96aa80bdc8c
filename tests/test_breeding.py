"""One generation: nothing admitted twice, nothing probed twice, nothing offered again that was answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import doubles
import pytest

from ge_engine import loop
from ge_engine.contracts import Constraint, Probe, Prompt, Target
from ge_engine.genome import Genome
from ge_engine.ledger.history import History
from ge_engine.outcome import Rejected
from ge_engine.search.first_prompts import DRAWN_AGAIN, FirstPrompts

REGISTRY = doubles.registry()


def run(folder: Path, observe: Any = lambda *_: None, **settings: Any) -> None:
    loop.run(doubles.seed(), doubles.config(**settings), REGISTRY, folder, observe)


def without_a_function(genome: Genome) -> Probe:
    """As of a program, of which no function is known: only the code tells one from another."""
    return doubles.Probe(output_shape=(2, 10), facts={"parameters": doubles.figures(genome)["parameters"]})


def test_a_generation_that_admits_the_same_code_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubles, "_probe", without_a_function)
    run(tmp_path / "run", llm="scripted:few", generations=1, population=20)
    with History(tmp_path / "run") as history:
        everybody = list(history.individuals())
    admitted = Counter(
        one.genome.digest for one in everybody if one.genome and not isinstance(one.outcome, Rejected)
    )
    refused = [one for one in everybody if isinstance(one.outcome, Rejected) and one.outcome.stage == "seen"]
    assert max(admitted.values()) == 1
    assert refused, "no code came twice: the test shows nothing"


@pytest.mark.parametrize("islands", [1, 2])
def test_two_children_that_are_asked_the_same(islands: int, tmp_path: Path) -> None:
    run(tmp_path / "run", llm="scripted:good", generations=1, population=8, islands=islands)
    with History(tmp_path / "run") as history:
        asked = [
            (call.prompt.intent, call.prompt.address)
            for one in history.individuals()
            for call in history.calls(one.id)[:1]
        ]
    assert len(asked) == len(set(asked)) == 8


def test_a_child_that_draws_for_ever_because_another_was_first() -> None:
    first, prompt = FirstPrompts(), Prompt("s", "u", "Net", "block", "reduce")
    assert first.takes("g0s0", "digest", "mutation", prompt)
    again = [first.takes("g0s1", "digest", "mutation", prompt) for _ in range(DRAWN_AGAIN + 1)]
    assert again == [False] * DRAWN_AGAIN + [True]
    assert first.takes("g0s0", "digest", "mutation", prompt), "a child may ask again"
    for other in (replace(prompt, address="Small"), replace(prompt, intent="complex")):
        assert first.takes(f"of {other.address}, {other.intent}", "digest", "mutation", other)
    assert first.takes("g0s4", "of another parent", "mutation", prompt)
    prose = Prompt("s", "u", intent="explain")
    assert all(first.takes(f"g0s{child}", "digest", "eot", prose) for child in (5, 6))


class Stop(Exception):
    pass


def test_a_resumed_generation_that_probes_again(tmp_path: Path) -> None:
    opened = len(doubles.INSTANT.opened)
    left = [8]

    def crash(name: str, data: Mapping[str, Any]) -> None:
        left[0] -= name == "submitted" and data["individual"] != "seed"
        if not left[0]:
            raise Stop

    settings = {"llm": "scripted:good", "generations": 1, "population": 8}
    with pytest.raises(Stop):
        run(tmp_path / "run", crash, **settings)
    run(tmp_path / "run", **settings)
    first, second = (evaluation.probed for evaluation in doubles.INSTANT.opened[opened:])
    assert len(set(first)) == 9
    assert set(first) & set(second) == {doubles.seed().genome.digest}


def test_an_answer_of_an_earlier_round_that_is_offered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets: list[Target] = []

    def constraint(grammar: doubles.Raw, target: Target) -> Constraint:
        targets.append(target)
        return doubles.Free()

    monkeypatch.setattr(doubles.Raw, "constraint", constraint)
    run(tmp_path / "run", llm="scripted:broken", generations=1, population=1, repairs=2)
    with History(tmp_path / "run") as history:
        answers = [call.canonical for call in history.calls("g0s0")]
    _trial, *asked = targets
    assert [len(target.tried) for target in asked] == [0, 1, 1]
    assert asked[1].tried == {answers[0]}
    assert asked[2].tried == set(answers[:2])

"""Arms differ in one part and nothing else, and no difference is claimed that was not shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import doubles
import pytest

from ge_engine.ablation import ARMS, ablate, compare, rank_sum, smallest_p_value
from ge_engine.cli.ablate import print_arms, tell
from ge_engine.contracts import LanguageModelFactory
from ge_engine.errors import ConfigError
from ge_engine.ledger.history import History

REGISTRY = doubles.registry()
NUMBERS_ALONE = {"tune-only": "tune", "tpe": "tpe"}


class Uniform(LanguageModelFactory):
    name = "uniform"

    def open(self, argument: str, config: object) -> doubles.Scripted:
        return doubles.Scripted("few", 0)


@pytest.mark.long
def test_arms_with_unequal_budgets_or_without_their_difference(tmp_path: Path) -> None:
    registry = dataclasses.replace(
        REGISTRY, language_models={**REGISTRY.language_models, "uniform": Uniform()}
    )
    config = doubles.config(generations=3, population=8, random_seed=5)
    told: set[tuple[str, int]] = set()
    arms = ablate(
        doubles.seed(), config, registry, tmp_path, list(ARMS), 2, lambda a, r, *_: told.add((a, r))
    )
    assert told == {(name, repeat) for name in ARMS for repeat in range(2)}
    assert [arm.name for arm in arms] == list(ARMS)
    for arm in arms:
        for repeat, trace in enumerate(arm.traces):
            assert list(trace) == sorted(trace)
            with History(tmp_path / f"{arm.name}-{repeat}") as history:
                used = {step.operator for one in history.individuals() for step in one.steps}
                personas = {step.persona for one in history.individuals() for step in one.steps}
                assert history.evaluations() == 25
                assert history.config.random_seed == 5 + repeat
            assert ("eot" in used) <= (arm.name != "no-eot")
            assert ("mating" in used) == (arm.name not in ("no-mating", *NUMBERS_ALONE))
            assert (personas == {"none"}) == (arm.name == "no-personas")
            if arm.name in NUMBERS_ALONE:
                assert used == {NUMBERS_ALONE[arm.name]}
    assert arms[0].p_value is None
    assert all(arm.verdict.startswith("no difference shown (p = ") for arm in arms[1:])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]),
        ([1.0, 5.0, 3.0, 8.0], [4.0, 2.0, 6.0]),
        ([0.1, 0.2, 0.3, 0.4, 0.5], [0.6, 0.7, 0.8, 0.9, 1.0]),
    ],
)
def test_a_rank_test_that_another_library_disagrees_with(first: list[float], second: list[float]) -> None:
    from scipy import stats

    expected = stats.mannwhitneyu(first, second, alternative="two-sided", method="exact").pvalue
    assert rank_sum(first, second) == pytest.approx(expected)
    assert rank_sum(first, second) >= smallest_p_value(len(first), len(second)) - 1e-12


def test_a_tie_taken_for_a_difference() -> None:
    assert rank_sum([1.0, 1.0, 1.0], [1.0, 1.0, 1.0]) == 1.0
    assert rank_sum([1.0, 1.0, 2.0], [1.0, 2.0, 2.0]) == 1.0
    assert rank_sum([9.0], [1.0, 2.0, 3.0]) == 1.0


def test_a_clear_difference_that_is_not_told() -> None:
    good = [[(0.5 + n / 100, 0.5)] for n in range(5)]
    bad = [[(0.9 - n / 100, 0.9)] for n in range(5)]
    full, other, third = compare({"full": good, "other": bad, "third": bad})
    assert other.p_value == third.p_value == pytest.approx(2 * rank_sum(full.finals, other.finals))
    assert other.p_value is not None
    assert other.p_value < 0.05
    assert other.verdict.startswith("differs")
    assert full.mean > other.mean
    assert full.spread > 0


def test_an_arm_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no arm 'no-luck'"):
        ablate(doubles.seed(), doubles.config(), REGISTRY, tmp_path, ["full", "no-luck"], 1, lambda *_: None)
    with pytest.raises(ConfigError, match="At least one"):
        ablate(doubles.seed(), doubles.config(), REGISTRY, tmp_path, ["full"], 0, lambda *_: None)


def test_an_arm_that_is_told_by_another_name_or_length_than_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = doubles.config(generations=1, population=2)
    ablate(doubles.seed(), config, REGISTRY, tmp_path, ["full"], 2, tell)
    said = capsys.readouterr().err
    assert {line.partition(": ")[0] for line in said.splitlines()} == {"full-0", "full-1"}
    assert {path.name for path in tmp_path.iterdir()} == {"full-0", "full-1"}
    assert "full-1: starting\n" in said
    assert "generations done" not in said


def arm_of(repeats: int, at: float) -> list[list[tuple[float, float]]]:
    return [[(at + n / 1000, at)] for n in range(repeats)]


@pytest.mark.parametrize(("repeats", "told"), [(3, True), (4, True), (5, False)])
def test_too_few_repeats_that_nobody_warns_of(
    repeats: int, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """With two arms against the first, four repeats give p = 2 x 2/70 at the least, and five 2 x 2/252."""
    arms = compare({name: arm_of(repeats, at) for name, at in (("full", 0.2), ("a", 0.5), ("b", 0.9))})
    print_arms(arms)
    text = " ".join(capsys.readouterr().out.split())
    assert ("cannot show a difference" in text) == told
    assert ("Take --repeats 5 or more" in text) == told
    assert all(arm.verdict.startswith("differs") != told for arm in arms[1:])

"""Rules that stop trainings early: who is stopped by what, and that breaks and order change nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import doubles
import pytest
from cut_off import cut_off, interrupt_at, require_equal
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ge_engine import loop
from ge_engine.api import open_run
from ge_engine.cli.app import app
from ge_engine.config import RunConfig, config_from_dict
from ge_engine.contracts import Job
from ge_engine.errors import ConfigError
from ge_engine.evaluation.command import open_command
from ge_engine.ledger import ChildRecord, Ledger
from ge_engine.ledger.history import History
from ge_engine.ledger.score_key import VALIDATION, ScoreKey
from ge_engine.outcome import Failed, Outcome, Rejected, Scored
from ge_engine.population import SEED_ID, Direction, Individual, generation_of, individual_id
from ge_engine.search.early_stopping import Curves, Front, Median, learned, quarters_of
from ge_plugins.evaluators import CommandEvaluator
from tests.evaluation import data, genome, shop, source
from tests.patience import PATIENT

DIRECTIONS: Mapping[str, Direction] = {"accuracy": "max", "parameters": "min"}
ERROR = 0.02


def at(accuracy: float, parameters: float = 1000.0, error: float = ERROR) -> Scored:
    return Scored({"accuracy": accuracy, "parameters": parameters}, errors={"accuracy": error})


class Given:
    """Curves of others as a test gives them: one after the other, the last figures last."""

    def __init__(self, *curves: Sequence[Scored], mine: Sequence[Scored] = ()) -> None:
        self.curves, self.mine = [tuple(one) for one in curves], list(mine)

    def front(self, generation: int, epochs: int) -> dict[str, Scored]:
        return {f"g0s{number}": curve[-1] for number, curve in enumerate(self.curves)}

    def ended(self, generation: int, epochs: int) -> list[tuple[Scored, ...]]:
        return self.curves

    def so_far(self, job: Job) -> list[Scored]:
        return self.mine


def job() -> Job:
    return Job("g1s0", doubles.seed().genome, 0, epochs=2)


def by_front(mine: Scored, *others: Scored) -> str:
    return Front(Given(*[[one] for one in others]), DIRECTIONS).objection(job(), mine)  # type: ignore[arg-type]


def by_median(mine: Scored, *curves: Sequence[Scored], before: Sequence[Scored] = ()) -> str:
    return Median(Given(*curves, mine=before), DIRECTIONS).objection(job(), mine)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("epochs", "quarters"), [(8, (2, 4, 6)), (2, (1,)), (3, (1, 2)), (5, (2, 3, 4)), (500, (125, 250, 375))]
)
def test_pauses_that_come_before_the_first_quarter_or_at_the_end(
    epochs: int, quarters: tuple[int, ...]
) -> None:
    assert quarters_of(config_from_dict({"budget_rule": "front", "recipe": {"epochs": epochs}})) == quarters
    assert quarters_of(config_from_dict({"recipe": {"epochs": epochs}})) == ()


def test_a_child_that_chance_stops() -> None:
    assert by_front(at(0.50), at(0.70))
    assert not by_front(at(0.50), at(0.54))
    assert not by_front(at(0.50, error=0.2), at(0.70, error=0.2))


def test_a_larger_network_that_stops_a_smaller_one() -> None:
    assert not by_front(at(0.50, 900), at(0.70, 1000))
    assert by_front(at(0.50, 1100), at(0.70, 1000))


def test_a_child_that_is_as_good_and_is_stopped_for_its_size() -> None:
    assert not by_front(at(0.70, 5000), at(0.70, 1000))


def test_a_lucky_one_of_many_on_the_front_that_stops_a_child() -> None:
    """2.3 standard errors of the difference are beyond chance for one, and not for the best of thirty."""
    ahead = at(0.50 + 2.3 * 2**0.5 * ERROR)
    assert by_front(at(0.50), ahead)
    assert not by_front(at(0.50), ahead, *[at(0.4)] * 29)


def test_a_stopped_child_that_does_not_say_behind_whom() -> None:
    assert by_front(at(0.50), at(0.45), at(0.70)) == "behind g0s1 there (accuracy 0.7, parameters 1000)"


def test_figures_without_errors_by_which_nobody_is_ever_stopped() -> None:
    exact = [Scored({"accuracy": level, "parameters": 1000.0}) for level in (0.5, 0.6)]
    assert learned(exact[0]) == ["accuracy"]
    assert by_front(exact[0], exact[1])
    assert not by_front(exact[1], exact[0])


def test_a_median_of_too_few_or_of_larger_networks() -> None:
    good = [[at(0.7)]] * 5
    assert by_median(at(0.5), *good)
    assert not by_median(at(0.5), *good[:4])
    assert not by_median(at(0.5, 900), *good)
    assert not by_median(at(0.5), *[[at(0.4)]] * 3, *good[:2])


def test_a_median_of_the_last_figures_in_place_of_averages_or_of_a_child_s_last_in_place_of_its_best() -> (
    None
):
    risen = [[at(0.3), at(0.7)]] * 5
    assert not by_median(at(0.55), *risen)
    assert by_median(at(0.45), *risen)
    assert not by_median(at(0.45), *risen, before=[at(0.6)])


FIGURES = st.tuples(st.integers(0, 10), st.integers(1, 4)).map(lambda two: at(two[0] / 10, 1000.0 * two[1]))


@given(FIGURES, st.lists(FIGURES, min_size=1, max_size=9))
def test_a_child_that_is_stopped_though_none_is_ahead_of_it(mine: Scored, others: list[Scored]) -> None:
    no_larger = [one for one in others if one.objectives["parameters"] <= mine.objectives["parameters"]]
    ahead = [one for one in no_larger if one.objectives["accuracy"] > mine.objectives["accuracy"]]
    assert not by_front(mine, *others) or ahead
    assert not by_median(mine, *[[one] for one in others]) or (len(no_larger) >= 5 and ahead)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_child_that_is_judged_by_what_another_generation_knew(generation: int, slot: int) -> None:
    assert generation_of(individual_id(generation, slot)) == generation


class Learning(doubles.Instant):
    """The accuracy is drawn from the digest and rises with the epochs; an error makes small leads chance."""

    def submit(self, job: Job) -> Future[Outcome]:
        self.scored.append(f"{job.genome.digest}/{job.split}/{job.epochs}")
        return doubles._done(risen(doubles._score(job), job))


def risen(outcome: Outcome, job: Job) -> Outcome:
    if not isinstance(outcome, Scored):
        return outcome
    accuracy = outcome.objectives["accuracy"] * (job.epochs or 4) / 4
    return Scored({**outcome.objectives, "accuracy": accuracy}, errors={"accuracy": 0.01})


@pytest.fixture
def evaluation(monkeypatch: pytest.MonkeyPatch) -> Learning:
    opened = Learning()
    monkeypatch.setattr(doubles, "Instant", lambda: opened)
    monkeypatch.setattr(doubles.InstantEvaluator, "takes_epochs", True, raising=False)
    return opened


def ruled(rule: str = "front", **settings: Any) -> RunConfig:
    base = {"llm": "scripted:good", "recipe": {"epochs": 4}, "population": 8}
    return doubles.config(**{**base, "budget_rule": rule, **settings})


def evolve(folder: Path, config: RunConfig) -> loop.Result:
    return loop.run(doubles.seed(), config, doubles.registry(), folder, lambda *_: None)


def stopped_in(folder: Path) -> dict[str, str]:
    with History(folder) as history:
        known = {one.id: one.outcome for one in history.individuals()}
    return {
        one: outcome.reason
        for one, outcome in known.items()
        if isinstance(outcome, Failed) and outcome.kind == "stopped"
    }


@pytest.mark.parametrize("rule", ["front", "median"])
@pytest.mark.parametrize("schedule", ["generational", "steady"])
def test_a_rule_that_stops_nobody_or_lets_the_stopped_into_the_population(
    tmp_path: Path, evaluation: Learning, rule: str, schedule: str
) -> None:
    result = evolve(tmp_path, ruled(rule, generations=3, schedule=schedule))
    stopped = stopped_in(tmp_path)
    assert stopped
    assert all("stopped after" in reason and ", behind " in reason for reason in stopped.values())
    assert not stopped.keys() & {one.id for one in (*result.population, *result.front)}
    assert len(evaluation.scored) == len(set(evaluation.scored))
    with History(tmp_path) as history:
        scored = dict(history.scores(VALIDATION))
        for one in history.individuals():
            assert not isinstance(one, Individual) or one.genome.digest in scored
        assert [len(history.scores(ScoreKey(epochs=epochs))) > 1 for epochs in (1, 2, 3)] == [True] * 3


def test_a_seed_model_without_a_curve_so_that_no_child_of_the_first_generation_is_stopped(
    tmp_path: Path, evaluation: Learning
) -> None:
    evolve(tmp_path, ruled(generations=1, population=16))
    digest = doubles.seed().genome.digest
    assert [f"{digest}/validation/{epochs}" for epochs in (1, 2, 3, 0)] == evaluation.scored[:4]
    with History(tmp_path) as history:
        baseline = history.score(digest, ScoreKey(epochs=1))
        assert isinstance(baseline, Scored)
        for one, reason in stopped_in(tmp_path).items():
            assert f"behind {SEED_ID} there" in reason
            reached = history.score(history.digest_of(one), ScoreKey(epochs=1))
            assert isinstance(reached, Scored)
            assert reached.objectives["accuracy"] < baseline.objectives["accuracy"]
    assert stopped_in(tmp_path)


@pytest.mark.parametrize(("rule", "moment"), [("front", 3), ("front", 18), ("median", 30)])
def test_a_run_cut_off_within_a_training_that_ends_differently(
    tmp_path: Path, evaluation: Learning, monkeypatch: pytest.MonkeyPatch, rule: str, moment: int
) -> None:
    config = ruled(rule, generations=2, population=6)
    evolve(tmp_path / "whole", config)
    with cut_off(monkeypatch, moment):
        evolve(tmp_path / "cut", config)
    evolve(tmp_path / "cut", config)
    require_equal(tmp_path / "whole", tmp_path / "cut")


def test_an_interrupt_between_quarters_that_loses_or_changes_something(
    tmp_path: Path, evaluation: Learning
) -> None:
    config = ruled(generations=2)
    evolve(tmp_path / "whole", config)
    interrupt = interrupt_at("validation/2 epochs")
    first = loop.run(doubles.seed(), config, doubles.registry(), tmp_path / "cut", interrupt)
    assert first.stopped_because == "interrupted by SIGINT"
    evolve(tmp_path / "cut", config)
    require_equal(tmp_path / "whole", tmp_path / "cut")


def test_decisions_that_depend_on_what_ends_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run on one worker and on four, whose trainings end out of order."""
    plain = doubles._score
    monkeypatch.setattr(doubles, "_score", lambda job: risen(plain(job), job))
    for workers in (1, 4):
        config = ruled(evaluator="threaded", workers=workers, generations=2)
        evolve(tmp_path / str(workers), config)
    assert stopped_in(tmp_path / "1") == stopped_in(tmp_path / "4")
    assert stopped_in(tmp_path / "1")


@pytest.mark.parametrize("rule", ["front", "median"])
def test_a_steady_run_cut_off_and_resumed_that_is_replayed_with_other_decisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    plain = doubles._score
    monkeypatch.setattr(doubles, "_score", lambda job: risen(plain(job), job))
    config = ruled(rule, schedule="steady", evaluator="threaded", workers=3, generations=3)
    with cut_off(monkeypatch, 25):
        evolve(tmp_path / "first", config)
    evolve(tmp_path / "first", config)
    again = dataclasses.replace(config, workers=1, llm=(f"replay:{tmp_path / 'first'}",))
    registry = doubles.registry()
    models = {**registry.language_models, "replay": doubles.Replay()}
    registry = dataclasses.replace(registry, language_models=models)
    loop.run(doubles.seed(), again, registry, tmp_path / "second", lambda *_: None)
    assert stopped_in(tmp_path / "second") == stopped_in(tmp_path / "first")
    assert stopped_in(tmp_path / "first")


def test_statistics_that_do_not_say_what_was_saved(tmp_path: Path, evaluation: Learning) -> None:
    evolve(tmp_path, ruled(generations=2))
    stops, stopped = open_run(tmp_path).early_stops, stopped_in(tmp_path)
    epochs = [int(reason.removeprefix("stopped after ").partition(" ")[0]) for reason in stopped.values()]
    assert stops.stopped == len(stopped)
    assert stops.saved == sum(4 - one for one in epochs)
    assert stops.epochs == 4 * stops.trained
    shown = CliRunner().invoke(app, ["log", str(tmp_path), "--stats"])
    line = f"stopped early: {stops.stopped} of {stops.trained} trained children by the rule front, "
    assert f"{line}{stops.saved} of {stops.epochs} epochs saved" in shown.output


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"halving": True, "recipe": {"epochs": 4}}, "halving and budget_rule exclude each other"),
        ({"inherit": True, "recipe": {"epochs": 4}}, "inherit and budget_rule exclude each other"),
        ({"recipe": {"epochs": 1}}, "budget_rule needs training.epochs of 2 or more"),
        ({"budget_rule": "best"}, "budget_rule"),
    ],
)
def test_settings_with_which_a_rule_means_nothing(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        config_from_dict({"budget_rule": "front", **settings})


def test_an_evaluator_without_curves_that_is_taken(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not train in stages, which budget_rule needs") as told:
        evolve(tmp_path, ruled())
    assert "--budget-rule" in told.value.hint


def test_a_command_that_is_told_no_epochs_and_pauses(tmp_path: Path) -> None:
    settings = {"evaluator": "command", "evaluator_argument": "python t.py {path}"}
    config = config_from_dict({**settings, "budget_rule": "median", "recipe": {"epochs": 4}})
    with (
        pytest.raises(ConfigError, match="takes no epochs") as told,
        CommandEvaluator().open(genome(), config, [], tmp_path),
    ):
        raise AssertionError
    assert "--budget-rule" in told.value.hint


def test_a_program_s_constraint_on_a_score_that_ends_a_training_at_its_first_pause(tmp_path: Path) -> None:
    program = tmp_path / "p.py"
    program.write_text("import json\nprint(json.dumps({'accuracy': 0.5}))\n")
    config = config_from_dict({"constraints": ["accuracy>=0.9"], "recipe": {"epochs": 4}, "sandbox": "none"})
    words = ["python", str(program), "{path}", "{epochs}"]
    with open_command(genome(), config, words, ["accuracy"], tmp_path) as opened:
        paused = opened.submit(Job("x", genome(), 0, epochs=2)).result(PATIENT)
        ended = opened.submit(Job("x", genome(), 0)).result(PATIENT)
    assert isinstance(paused, Scored)
    assert isinstance(ended, Rejected)
    assert ended.stage == "constraint"


@pytest.mark.long
def test_a_constraint_on_a_score_that_ends_a_training_at_its_first_pause(tmp_path: Path) -> None:
    settings = {"constraints": ["accuracy>=1.1"], "budget_rule": "front", "recipe": {"epochs": 2}}
    with shop(tmp_path, dataset=data(train=64), **settings) as opened:
        candidate = genome(source(forward="x = x + 0"))
        paused = opened.submit(Job("x", candidate, 5, epochs=1)).result(PATIENT)
        ended = opened.submit(Job("x", candidate, 5)).result(PATIENT)
    assert isinstance(paused, Scored)
    assert isinstance(ended, Rejected)
    assert ended.stage == "constraint"


def test_a_decision_by_what_ended_after_the_generation_began(tmp_path: Path) -> None:
    seed = doubles.seed()
    with Ledger.create(tmp_path / "run", seed, doubles.config()) as ledger:
        for number in range(3):
            one = Individual(f"g{number}s0", number, 0, (), (), seed.genome)
            ledger.start_generation(number, 1)
            ledger.record_children([ChildRecord(one, "", None)])
            ledger.finish_generation(number, [[SEED_ID]], [one.id], [one.id, f"g{number}s1"])
        for key in (VALIDATION, ScoreKey(epochs=2)):
            ledger.add_score(seed.genome.digest, key, at(0.5))
        curves = Curves(ledger, (1, 2, 3))
        assert list(curves.front(1, 2)) == ["g0s0"]
        assert list(curves.front(2, 2)) == ["g1s0"]
        assert not curves.front(2, 3)
        assert [len(curves.ended(number, 2)) for number in (0, 1, 2)] == [0, 1, 2]
        assert ledger.merged_before(2, 3) == ("g1s1", "g1s0", "g0s1")

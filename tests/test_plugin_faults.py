"""An error inside a plugin is named with plugin and hook, and costs one slot or ends the run clearly."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import doubles
import pytest

from ge_engine.blaming import blamed_objective, blamed_tasks
from ge_engine.contracts import (
    Candidate,
    Context,
    Evaluator,
    Job,
    LanguageModelFactory,
    Objective,
    Operator,
    Prompt,
    Task,
)
from ge_engine.errors import EvaluationError, PluginError
from ge_engine.ledger.history import History
from ge_engine.loop import run
from ge_engine.outcome import Failed, Outcome, Rejected
from ge_engine.patch import Patch
from ge_engine.registry import Registry

REGISTRY = doubles.registry()


def with_part(table: str, part: Any) -> Registry:
    """The doubles' registry in which `part` takes the place of what has its name."""
    parts = MappingProxyType({**getattr(REGISTRY, table), part.name: part})
    owners = MappingProxyType({**REGISTRY.owners, (f"ge_{table}", part.name): "doubles"})
    return dataclasses.replace(REGISTRY, **{table: parts, "owners": owners})


def refused(folder: Path, registry: Registry, **settings: Any) -> tuple[str, int]:
    """What ends a run of two generations of four slots, and how many children were bred."""
    config = doubles.config(generations=2, population=4, llm="scripted:good", **settings)
    with pytest.raises(PluginError) as caught:
        run(doubles.seed(), config, registry, folder, lambda *_: None)
    assert "--no-plugin" in caught.value.hint
    with History(folder) as history:
        return caught.value.message, sum(1 for one in history.individuals() if one.id != "seed")


HERE = re.compile(r"test_plugin_faults\.py, line \d+\)")
"""A place in this file, where the faulty parts stand."""


class Mutator(Operator):
    name = "mutation"

    def __init__(self, propose: Callable[[Context], Any]) -> None:
        self._propose = propose

    def propose(self, context: Context) -> Any:
        return self._propose(context)


def yields_text(context: Context) -> Any:
    yield "please"


def yields_for_ever(context: Context) -> Any:
    while True:
        yield Prompt("Answer.", "Again.", "", None)


def patches_elsewhere(context: Context) -> Any:
    return Patch("Nowhere", "class Nowhere: pass")
    yield


def holds_on(context: Context) -> Any:
    try:
        yield Prompt("Answer.", "Once.", context.addresses[0], "no such grammar")
    finally:
        raise ValueError("I do not close")


@pytest.mark.parametrize(
    ("propose", "words", "children"),
    [
        (yields_text, "no Prompt", 0),
        (yields_for_ever, "more than 16 times", 4),
        (patches_elsewhere, "Nowhere", 4),
        (holds_on, "I do not close", 0),
        (lambda _: 3, "int", 0),
    ],
)
def test_an_operator_that_buys_prompts_or_is_not_named(
    tmp_path: Path, propose: Any, words: str, children: int
) -> None:
    registry = with_part("operators", Mutator(propose))
    reason, bred = refused(tmp_path, registry, operators=("mutation",))
    assert bred == children
    assert words in reason
    assert "plugin 'doubles'" in reason
    assert "ge_operators" in reason
    assert HERE.search(reason) or propose is not holds_on


class Persona:
    name = "expert"

    def __init__(self, frame: Callable[[Prompt], Any]) -> None:
        self.frame = frame


@pytest.mark.parametrize("frame", [lambda _: 1 / 0, lambda _: "You are."])
def test_a_persona_that_buys_prompts_or_is_not_named(tmp_path: Path, frame: Any) -> None:
    reason, bred = refused(tmp_path, with_part("personas", Persona(frame)), personas=("expert",))
    assert bred == 0
    assert "'expert' of plugin 'doubles'" in reason
    assert "ge_personas" in reason


class OddCheck:
    name = "seen"
    kind: Literal["static"] = "static"
    order = 1

    def __init__(self, check: Callable[[Candidate], Any]) -> None:
        self.check = check


@pytest.mark.parametrize("check", [lambda _: 1 / 0, lambda _: True, lambda _: "no"])
def test_a_check_that_buys_prompts_or_is_not_named(tmp_path: Path, check: Any) -> None:
    reason, bred = refused(tmp_path, with_part("checks", OddCheck(check)))
    assert bred == 0
    assert "'seen' of plugin 'doubles'" in reason


def test_a_check_that_fails_on_every_child_and_not_on_the_seed(tmp_path: Path) -> None:
    def check(candidate: Candidate) -> Rejected | None:
        return None if candidate.genome is candidate.parent else 1 / 0  # type: ignore[return-value]

    reason, bred = refused(tmp_path, with_part("checks", OddCheck(check)))
    assert bred == 4
    assert "cost all of the last 4 children: the check 'seen' of plugin 'doubles'" in reason
    assert HERE.search(reason)


@pytest.mark.parametrize("method", ["instructions", "constraint", "decode"])
def test_a_grammar_that_buys_prompts_or_is_not_named(tmp_path: Path, method: str) -> None:
    broken = doubles.Raw("block")
    setattr(broken, method, lambda *_: 1 / 0)
    reason, bred = refused(tmp_path, with_part("grammars", broken), grammar="block")
    assert bred == 0
    assert "'block' of plugin 'doubles'" in reason
    assert HERE.search(reason)


class Model(LanguageModelFactory):
    name = "scripted"

    def open(self, argument: str, config: Any) -> Any:
        if argument == "shut":
            raise OSError("no such socket")
        return self

    def generate(self, requests: Any) -> Any:
        raise KeyError("choices")

    def close(self) -> None:
        pass


class Selector:
    name = "spea2"

    def select(self, *_: Any) -> Any:
        return 1 / 0


class Refusing(Evaluator):
    name = "instant"

    def open(self, *_: Any) -> Any:
        return 1 / 0


@pytest.mark.parametrize(
    ("table", "part", "llm", "hook"),
    [
        ("language_models", Model(), "scripted:shut", "ge_language_models"),
        ("selectors", Selector(), "scripted:good", "ge_selectors"),
        ("evaluators", Refusing(), "scripted:good", "ge_evaluators"),
    ],
)
def test_a_part_without_which_no_run_goes_on_that_is_not_named(
    tmp_path: Path, table: str, part: Any, llm: str, hook: str
) -> None:
    config = doubles.config(generations=2, population=2, llm=llm)
    with pytest.raises(PluginError) as caught:
        run(doubles.seed(), config, with_part(table, part), tmp_path, lambda *_: None)
    assert "plugin 'doubles'" in caught.value.message
    assert hook in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("method", ["probe", "submit"])
def test_an_evaluator_that_fails_on_the_seed_taken_for_a_fault_of_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    class Failing(doubles.Instant):
        pass

    def fails(*_: Any) -> Any:
        future: Future[Outcome] = Future()
        future.set_exception(ZeroDivisionError("no data"))
        return future

    setattr(Failing, method, fails)
    monkeypatch.setattr(doubles, "Instant", Failing)
    with pytest.raises(PluginError, match="no data"):
        run(doubles.seed(), doubles.config(), REGISTRY, tmp_path / "run", lambda *_: None)
    assert not (tmp_path / "run").exists()


class Outage(doubles.Instant):
    """Scores the seed model, and nothing while it lasts."""

    lasts = True

    def __init__(self, failure: Callable[[int], Outcome]) -> None:
        super().__init__()
        self._failure = failure

    def submit(self, job: Job) -> Future[Outcome]:
        scored = super().submit(job)
        return doubles._done(self._failure(len(self.scored))) if self.lasts and job.key != "seed" else scored


def lost_mount(_: int) -> Outcome:
    return Failed("evaluate", "error", "FileNotFoundError: /data/train is not there")


def each_otherwise(number: int) -> Outcome:
    return Failed("train", "error", f"RuntimeError: shapes of layer {number} do not fit")


def each_too_slow(_: int) -> Outcome:
    return Failed("train", "timeout", "it took longer than 60 s")


def each_crashes(_: int) -> Outcome:
    return Failed("train", "crash", "it died of SIGSEGV")


def own_disk(number: int) -> Outcome:
    return Failed("train", "error", f"no space left for checkpoint {number}", "infrastructure")


@pytest.mark.parametrize("schedule", ["generational", "steady"])
@pytest.mark.parametrize(
    ("failure", "why"), [(lost_mount, "/data/train is not there"), (own_disk, "no space")]
)
def test_prompts_that_are_bought_while_nothing_can_be_scored(
    failure: Callable[[int], Outcome],
    why: str,
    schedule: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After as many children as a population has, not after all; and the run resumes once that is fixed."""
    outage = Outage(failure)
    monkeypatch.setattr(doubles, "Instant", lambda: outage)
    settings = {"generations": 9, "population": 4, "llm": "scripted:good", "schedule": schedule}
    with pytest.raises(EvaluationError, match=why) as caught:
        run(doubles.seed(), doubles.config(**settings), REGISTRY, tmp_path, lambda *_: None)
    assert "Rerun" in caught.value.hint
    with History(tmp_path) as history:
        lost = history.next_generation()
        assert lost < 9
    outage.lasts = False
    assert run(doubles.seed(), doubles.config(**settings), REGISTRY, tmp_path, lambda *_: None).front
    with History(tmp_path) as history:
        assert sum(1 for _ in history.scored()) > 1


@pytest.mark.parametrize("failure", [each_otherwise, each_too_slow, each_crashes])
def test_children_whose_own_faults_end_the_run(
    failure: Callable[[int], Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubles, "Instant", lambda: Outage(failure))
    config = doubles.config(generations=3, population=4, llm="scripted:good")
    run(doubles.seed(), config, REGISTRY, tmp_path, lambda *_: None)
    with History(tmp_path) as history:
        assert history.next_generation() == 3


def test_an_objective_that_fails_on_the_seed_taken_for_a_fault_of_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = Failed("score", "error", "the objective 'f1' failed: 'f1' of plugin 'mine' failed", "engine")
    monkeypatch.setattr(doubles, "_score", lambda _: fault)
    with pytest.raises(PluginError, match="The seed model cannot be scored: the objective 'f1'"):
        run(doubles.seed(), doubles.config(), REGISTRY, tmp_path / "run", lambda *_: None)


@pytest.mark.parametrize("level", [lambda _: 1 / 0, lambda classes: classes.share])
def test_a_level_of_chance_that_breaks_down_that_is_not_named(level: Any, tmp_path: Path) -> None:
    class Broken(doubles.Named):
        def chance(self, classes: int) -> float:
            return level(classes)  # type: ignore[no-any-return]

    registry = with_part("objectives", Broken("accuracy", "max", ".2%"))
    with pytest.raises(PluginError, match="'accuracy' of plugin 'doubles'") as caught:
        run(doubles.seed(), doubles.config(llm="scripted:good"), registry, tmp_path, lambda *_: None)
    assert HERE.search(caught.value.message)


def test_a_language_model_that_breaks_down_that_is_not_named(tmp_path: Path) -> None:
    config = doubles.config(generations=1, population=2, llm="scripted:any")
    with pytest.raises(PluginError, match="The language model scripted failed: KeyError"):
        run(doubles.seed(), config, with_part("language_models", Model()), tmp_path, lambda *_: None)


def test_an_objective_that_is_not_named() -> None:
    class Broken(Objective):
        name = "accuracy"
        direction: Literal["max"] = "max"

        def measure(self, _: Any) -> float:
            return 1 / 0

    class Empty(Task):
        name = "nothing"

        def load(self, *_: Any) -> Any:
            return [][0]

    objective = blamed_objective(Broken(), with_part("objectives", Broken()))
    assert (objective.name, objective.direction) == ("accuracy", "max")
    with pytest.raises(PluginError, match=r"'accuracy' of plugin 'doubles' \(ge_objectives\) failed"):
        objective.measure(None)  # type: ignore[arg-type]
    with pytest.raises(PluginError, match=r"'nothing' of plugin 'doubles' \(ge_tasks\) failed"):
        blamed_tasks(with_part("tasks", Empty()))["nothing"].load("", doubles.config())

"""Several language models share the prompts by weight, repeatably."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import doubles
import pytest

from ge_engine import loop
from ge_engine.config import RunConfig
from ge_engine.contracts import (
    Evaluator,
    LanguageModel,
    LanguageModelFactory,
    Prompt,
    Reply,
    Request,
    Sampling,
)
from ge_engine.errors import ConfigError, ModelError, PluginError, SeedError
from ge_engine.ledger.history import History
from ge_engine.search.credit import Credit
from ge_engine.search.models import Models, split_weights

EVEN = Credit().odds


class Named(LanguageModel):
    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for index in reversed(range(len(requests))):
            yield index, Reply(f"{self.name} {requests[index].key}", "stop", 0, 0, 0.0, self.name)

    def close(self) -> None:
        self.closed = True


class Broken(Named):
    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        raise ModelError("the socket is gone")
        yield


def mixed(*models: Named, weights: Sequence[float]) -> Models:
    names = [model.name for model in models]
    return Models(dict(zip(names, models)), [list(zip(names, weights))])


def requests(models: Models, count: int) -> list[Request]:
    return [
        Request(
            f"g0s{n}/0", Prompt("", ""), Sampling(0.5, 100, n), None, models.chosen(0, f"g0s{n}/0", n, EVEN)
        )
        for n in range(count)
    ]


def test_a_mixture_that_mixes_up_answers() -> None:
    mixture = mixed(Named("a"), Named("b"), weights=(0.8, 0.2))
    asked = requests(mixture, 500)
    first = dict(mixture.generate(asked))
    assert sorted(first) == list(range(500))
    assert all(reply.text == f"{reply.model} {asked[index].key}" for index, reply in first.items())
    counts = Counter(reply.model for reply in first.values())
    assert 350 < counts["a"] < 450
    assert dict(mixture.generate(asked)) == first
    alone = dict(mixture.generate(asked[7:8]))
    assert alone[0] == first[7]


def test_a_broken_model_that_hangs_the_batch() -> None:
    mixture = mixed(Named("a"), Broken("b"), weights=(0.5, 0.5))
    with pytest.raises(ModelError, match="the socket is gone"):
        list(mixture.generate(requests(mixture, 20)))


@pytest.mark.parametrize(
    ("specs", "pairs"),
    [
        (("openai:gpt:0.5",), [("openai:gpt:0.5", 1.0)]),
        (("smollm2:0.8", "openai:m:0.2"), [("smollm2", 0.8), ("openai:m", 0.2)]),
        (("smollm2", "openai:llama3:8b"), [("smollm2", 1.0), ("openai:llama3:8b", 1.0)]),
        (("a:1", "b:.5"), [("a", 1.0), ("b", 0.5)]),
    ],
)
def test_a_weight_taken_for_a_name(specs: tuple[str, ...], pairs: list[tuple[str, float]]) -> None:
    assert split_weights(specs) == pairs


def test_weights_of_nothing() -> None:
    with pytest.raises(ConfigError, match="all 0"):
        split_weights(("a:0", "b:0"))


def test_a_second_model_that_is_never_asked(tmp_path: Path) -> None:
    config = doubles.config(llm=("scripted:good:0.5", "scripted:mixed:0.5"), generations=2, population=12)
    loop.run(doubles.seed(), config, doubles.registry(), tmp_path / "run", lambda *_: None)
    with History(tmp_path / "run") as history:
        models = Counter(reply.model for _, reply in history.replies())
    assert set(models) == {"scripted:good", "scripted:mixed"}
    assert doubles.SCRIPTED.opened[-1].asked[-1] == doubles.SCRIPTED.opened[-2].asked[-1] == "closed"


class Checked(doubles.ScriptedFactory):
    """A factory whose model is there or not. `said` lists what it was asked, and whether a run was there."""

    def __init__(self, folder: Path, there: bool) -> None:
        super().__init__()
        self.folder = folder
        self.there = there
        self.said: list[tuple[str, str, bool]] = []

    def check(self, argument: str, config: RunConfig) -> None:
        self.said.append(("check", argument, self.folder.exists()))
        if not self.there:
            raise ModelError("The language model is not there.", "Fetch it.")

    def open(self, argument: str, config: RunConfig) -> LanguageModel:
        self.said.append(("open", argument, self.folder.exists()))
        return super().open(argument, config)


class Refusing(Evaluator):
    """An evaluator that refuses every seed."""

    name = "instant"

    def open(self, *_: Any, **__: Any) -> Any:
        raise SeedError("The seed model does not build.", "Fix it.")


def evolve_with(factory: Checked | Surrogates, evaluator: Any = doubles.INSTANT, **settings: Any) -> None:
    parts = {"language_models": {"scripted": factory}, "evaluators": {"instant": evaluator}}
    registry = dataclasses.replace(doubles.registry(), **parts)
    config = doubles.config(**{"generations": 1, "population": 2, "llm": "scripted:good", **settings})
    loop.run(doubles.seed(), config, registry, factory.folder, lambda *_: None)


def test_a_model_that_is_missing_and_leaves_a_half_made_run(tmp_path: Path) -> None:
    factory = Checked(tmp_path / "run", there=False)
    with pytest.raises(ModelError, match="not there"):
        evolve_with(factory)
    assert factory.said == [("check", "good", False)]
    assert not factory.folder.exists()
    factory.there = True
    evolve_with(factory)
    assert factory.said[1:] == [("check", "good", False), ("open", "good", True)]


def test_each_of_several_models_that_is_not_checked(tmp_path: Path) -> None:
    factory = Checked(tmp_path / "run", there=True)
    island = [{"llm": "scripted:good"}, {"llm": ["scripted:same:0.5", "scripted:good:0.5"]}]
    evolve_with(factory, islands=2, island=island, llm="scripted:good", population=4)
    assert [said[:2] for said in factory.said] == [
        (how, name) for how in ("check", "open") for name in ("good", "same")
    ]


def test_a_run_with_nothing_left_to_do_that_wants_its_model(tmp_path: Path) -> None:
    factory = Checked(tmp_path / "run", there=True)
    evolve_with(factory)
    factory.there = False
    factory.said.clear()
    evolve_with(factory)
    assert factory.said == []


def test_a_run_whose_seed_was_refused_that_begins_anew_without_its_model(tmp_path: Path) -> None:
    factory = Checked(tmp_path / "run", there=True)
    factory.folder.mkdir()
    with pytest.raises(SeedError):
        evolve_with(factory, evaluator=Refusing())
    factory.there = False
    with pytest.raises(ModelError, match="not there"):
        evolve_with(factory)
    with History(factory.folder) as history:
        assert not history.seed_is_scored
    factory.there = True
    evolve_with(factory)


def test_a_check_that_fails_by_a_fault_of_its_own_and_is_not_named(tmp_path: Path) -> None:
    class Faulty(Checked):
        def check(self, argument: str, config: RunConfig) -> None:
            raise KeyError("weights")

    with pytest.raises(PluginError, match=r"'scripted' of plugin 'doubles' .*KeyError"):
        evolve_with(Faulty(tmp_path / "run", there=True))
    assert not (tmp_path / "run").exists()


class Surrogates(LanguageModelFactory):
    """Answers with the reply of another, and half a pair of surrogates in it."""

    name = "scripted"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, argument: str, config: RunConfig) -> LanguageModel:
        inner = doubles.registry().language_models["scripted"].open(argument, config)

        class Model:
            name = inner.name

            def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
                for index, reply in inner.generate(requests):
                    yield index, dataclasses.replace(reply, text=reply.text + "  # \ud83d")

            def close(self) -> None:
                inner.close()

        return Model()


def test_a_reply_that_no_ledger_can_hold_ends_the_run(tmp_path: Path) -> None:
    evolve_with(Surrogates(tmp_path / "run"))
    with History(tmp_path / "run") as history:
        replies = [call.reply.text for one in history.individuals() for call in history.calls(one.id)]
    assert replies
    assert all(text.endswith("# ?") for text in replies)

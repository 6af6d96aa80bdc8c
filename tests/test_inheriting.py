"""Parts that only have the members of their contract get its defaults and a warning; old names still work."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import doubles
import pytest

from ge_engine import contracts
from ge_engine.contracts import (
    Constraint,
    Context,
    DeprecatedHook,
    Evaluator,
    LanguageModel,
    Memory,
    Objective,
    Operator,
    Prompt,
    Reply,
    Request,
    RunFacts,
    Sampling,
    inheriting,
)
from ge_engine.errors import PluginError
from ge_engine.outcome import Rejected
from ge_engine.registry import load_registry

REQUEST = Request("g0s0/0", Prompt("ab", "ü"), Sampling(0.1, 50, 0))


class Answering:
    """A language model as version 0.1.0 allowed it."""

    name = "answering"

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply]]:
        for index, _ in enumerate(requests):
            yield index, Reply("", "stop", 0, 0, 0.0, self.name)

    def close(self) -> None:
        raise RuntimeError("its own")


def completed(contract: type[Any], part: object) -> Any:
    with pytest.warns(DeprecatedHook, match=rf"write `class {type(part).__name__}\({contract.__name__}\)`"):
        return inheriting(contract, part)


def test_a_part_without_its_base_class_that_lacks_a_default() -> None:
    model = completed(LanguageModel, Answering())
    assert model.most_tokens(REQUEST) == (4 + 256, 50)
    assert model.replays is None
    assert model.name == "answering"


def test_a_default_that_takes_the_place_of_a_parts_own() -> None:
    with pytest.raises(RuntimeError, match="its own"):
        completed(LanguageModel, Answering()).close()


def test_a_property_of_a_contract_that_is_no_value() -> None:
    assert completed(Constraint, object()).longest == 0


def test_a_method_that_is_missing_and_told_as_something_else() -> None:
    with pytest.raises(AttributeError, match="'object' object has no attribute 'whole'"):
        completed(Constraint, object()).whole()


def test_a_part_with_its_base_class_that_is_wrapped_or_warned_of(recwarn: pytest.WarningsRecorder) -> None:
    assert inheriting(Evaluator, doubles.INSTANT) is doubles.INSTANT
    assert not recwarn.list


def test_a_part_half_written_that_is_found_in_the_middle_of_a_run(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_written.py").write_text(
        "from ge_engine.contracts import Operator\n"
        "from ge_engine.hookspecs import hookimpl\n\n\n"
        "class Half(Operator):\n    name = 'half'\n\n\n"
        "@hookimpl\ndef ge_operators():\n    return [Half()]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginError, match=r"ge_operators.*propose"):
        load_registry(["half_written"])


def test_an_objective_that_knows_no_error_and_no_unit() -> None:
    class Plain(Objective):
        name = "plain"
        direction = "min"

        def measure(self, measurement: Any) -> float:
            return 0.0

    assert (Plain().unit, Plain().format, Plain().error(None)) == ("", "", None)  # type: ignore[arg-type]


def context() -> Context:
    seed = doubles.seed()
    run = RunFacts(3, object(), ("elite",), {"accuracy": "max"})  # type: ignore[arg-type]
    genome = seed.genome
    memory = Memory(draw=lambda _rng, dimension, names: f"{dimension}: {names[-1]}")
    read = lambda *_: Rejected("extract", "none")  # noqa: E731
    return Context(genome, genome.evolvable, random.Random(0), read, (), run, memory)


@pytest.mark.parametrize("name", ["generation", "seed", "elites", "directions"])
def test_an_operator_of_version_0_1_0_that_misses_a_field(name: str) -> None:
    about = context()
    with pytest.warns(DeprecatedHook, match=rf"context\.{name} is context\.run\.{name}"):
        assert getattr(about, name) is getattr(about.run, name)


@pytest.mark.parametrize("name", ["draw", "trials", "prose"])
def test_an_operator_of_version_0_1_0_that_misses_what_the_run_learnt(name: str) -> None:
    about = context()
    with pytest.warns(DeprecatedHook, match=rf"context\.memory\.{name}"):
        assert getattr(about, name) is getattr(about.memory, name)


def test_a_context_that_gives_what_it_never_had() -> None:
    with pytest.raises(AttributeError, match="a context has no 'colour'"):
        context().colour  # type: ignore[attr-defined]  # noqa: B018


def test_a_choice_that_does_not_ask_what_the_run_knows() -> None:
    assert context().choose("block", ["a", "b"]) == "block: b"


@pytest.mark.parametrize("name", contracts.__all__)
def test_a_contract_without_a_word_of_what_it_gives(name: str) -> None:
    value = getattr(contracts, name)
    if isinstance(value, type):
        assert (value.__doc__ or "").strip()


def test_a_contract_whose_parts_can_be_made_without_their_work() -> None:
    with pytest.raises(TypeError, match="propose"):
        Operator()  # type: ignore[abstract]

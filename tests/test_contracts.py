"""The built-in plugins pass the contracts that third parties pass; contracts catch what breaks them."""

from __future__ import annotations

from typing import Any

import pytest

from ge_engine.config import RunConfig
from ge_engine.contracts import (
    Check,
    Evaluator,
    Grammar,
    LanguageModel,
    Objective,
    Operator,
    Persona,
    Selector,
    Task,
)
from ge_engine.registry import Registry, load_registry
from ge_engine.testing import (
    CheckContract,
    EvaluatorContract,
    GrammarContract,
    LanguageModelContract,
    ObjectiveContract,
    OperatorContract,
    PersonaContract,
    SelectorContract,
    TaskContract,
)

REGISTRY: Registry = load_registry()


def each(table: str) -> Any:
    return pytest.fixture(params=sorted(getattr(REGISTRY, table)))


def test_a_grammar_that_no_contract_covers() -> None:
    assert set(REGISTRY.grammars) == {"block", "edits", "diff"}


class TestOperators(OperatorContract):
    @each("operators")
    def operator(self, request: pytest.FixtureRequest) -> Operator:
        return REGISTRY.operators[request.param]


class TestPersonas(PersonaContract):
    @each("personas")
    def persona(self, request: pytest.FixtureRequest) -> Persona:
        return REGISTRY.personas[request.param]


class TestSelectors(SelectorContract):
    @each("selectors")
    def selector(self, request: pytest.FixtureRequest) -> Selector:
        return REGISTRY.selectors[request.param]


class TestChecks(CheckContract):
    @each("checks")
    def check(self, request: pytest.FixtureRequest) -> Check:
        return REGISTRY.checks[request.param]


class TestObjectives(ObjectiveContract):
    @each("objectives")
    def objective(self, request: pytest.FixtureRequest) -> Objective:
        return REGISTRY.objectives[request.param]


class TestGrammars(GrammarContract):
    @pytest.fixture(params=["block", "edits"])
    def grammar(self, request: pytest.FixtureRequest) -> Grammar:
        return REGISTRY.grammars[request.param]


class TestDiffGrammar(GrammarContract):
    admitted = 0.0

    @pytest.fixture
    def grammar(self) -> Grammar:
        return REGISTRY.grammars["diff"]


class TestUniformModel(LanguageModelContract):
    @pytest.fixture
    def model(self) -> LanguageModel:
        return REGISTRY.language_models["uniform"].open("", RunConfig())


class TestDigits(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def task(cls) -> Task:
        return REGISTRY.tasks["digits"]


class TestTrainEvaluator(EvaluatorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def evaluator(cls) -> Evaluator:
        return REGISTRY.evaluators["train"]

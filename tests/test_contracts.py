"""The built-in plugins pass the contracts that third parties pass; contracts catch what breaks them."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

import openai
import pytest
from roomy import Roomy
from servers import Script, misbehaving, model_of

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
from ge_engine.genome import Genome
from ge_engine.llm.endpoint import Endpoint
from ge_engine.llm.forms import FORMS
from ge_engine.llm.local import LocalModel
from ge_engine.llm.server import ServerLimits
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
from ge_engine.testing.material import changed, reply
from ge_plugins.replay import ReplayModel

REGISTRY: Registry = load_registry()


def each(table: str) -> Any:
    return pytest.fixture(params=sorted(getattr(REGISTRY, table)))


def test_a_grammar_that_no_contract_covers() -> None:
    assert set(REGISTRY.grammars) == {"block", "blocks", "edits", "diff", "moves"}


class TestOperators(OperatorContract):
    @each("operators")
    def operator(self, request: pytest.FixtureRequest) -> Operator:
        return REGISTRY.operators[request.param]


class TestRedesignWithRoom(OperatorContract):
    @pytest.fixture
    def operator(self) -> Operator:
        return Roomy()


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


class TestFreeGrammars(GrammarContract):
    admitted = 0.0

    @pytest.fixture(params=["blocks", "diff"])
    def grammar(self, request: pytest.FixtureRequest) -> Grammar:
        return REGISTRY.grammars[request.param]


class TestUniformModel(LanguageModelContract):
    @pytest.fixture
    def model(self) -> LanguageModel:
        return REGISTRY.language_models["uniform"].open("", RunConfig())


class TestEmbeddedModel(LanguageModelContract):
    most_tokens = 8

    @pytest.fixture
    def model(self, smollm2: LocalModel) -> LanguageModel:
        """A handle of its own on the session's model, so that closing it closes no other test's."""
        return copy(smollm2)


class TestDigits(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def task(cls) -> Task:
        return REGISTRY.tasks["digits"]


PROGRAM = b"""def width():
    return 3


def twice():
    return 2 * width()
"""
SCORE = """import json, runpy, sys


def score(path, budget):
    width = runpy.run_path(path)["twice"]()
    return {"accuracy": 1 / width, "parameters": width}, "feedback"


if __name__ == "__main__":
    print(json.dumps(score(sys.argv[1], {})[0]))
"""


class OtherJob(EvaluatorContract):
    """A file without a network, scored by a program that only runs it."""

    source = PROGRAM

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def job(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
        file = tmp_path_factory.mktemp("job") / "contract_job.py"
        file.write_text(SCORE)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(file.parent))
            yield file

    def good(self) -> Genome:
        return changed(self.seed(), "return 3", "return 4")[0]

    def broken(self) -> Genome:
        return changed(self.seed(), "return 3", "return 1 // 0")[0]


class TestFunctionEvaluator(OtherJob):
    settings = {"evaluator_argument": "contract_job:score", "workers": 2}  # noqa: RUF012

    @pytest.fixture(scope="class")
    @classmethod
    def evaluator(cls) -> Evaluator:
        return REGISTRY.evaluators["function"]


class TestCommandEvaluator(OtherJob):
    @pytest.fixture(scope="class")
    @classmethod
    def config(cls, job: Path) -> RunConfig:
        return RunConfig(evaluator_argument=f"python {job} {{path}}", workers=2)

    @pytest.fixture(scope="class")
    @classmethod
    def evaluator(cls) -> Evaluator:
        return REGISTRY.evaluators["command"]


class TestServerModel(LanguageModelContract):
    @pytest.fixture
    def model(self) -> Iterator[LanguageModel]:
        with misbehaving(Script("good")) as url:
            client = openai.OpenAI(api_key="none", base_url=url, max_retries=0)
            yield model_of(Endpoint("contract", client, "none"), ServerLimits(deadline=20.0), FORMS[0])


class TestReplay(LanguageModelContract):
    @pytest.fixture
    def model(self) -> LanguageModel:
        keys = [f"g{generation}s{slot}/0" for generation in range(2) for slot in range(3)]
        return ReplayModel("replay:contract", {key: reply("x = 1") for key in keys})


class TestTrainEvaluator(EvaluatorContract):
    @pytest.fixture(scope="class")
    @classmethod
    def evaluator(cls) -> Evaluator:
        return REGISTRY.evaluators["train"]

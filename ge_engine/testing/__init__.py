"""Contracts for plugins: subclass one, give it one fixture, and pytest runs a dozen tests of your part.

    from ge_engine.testing import OperatorContract

    class TestShrink(OperatorContract):
        @pytest.fixture
        def operator(self):
            return Shrink()

Needs pytest; nothing else of the engine imports this package.
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f"ge_engine.testing.{module}"
        for module in (
            "check",
            "evaluator",
            "executor",
            "grammar",
            "language_model",
            "objective",
            "operator",
            "persona",
            "selector",
            "task",
            "watching",
        )
    )
)

from ge_engine.testing.check import CheckContract  # noqa: E402
from ge_engine.testing.evaluator import EvaluatorContract  # noqa: E402
from ge_engine.testing.executor import ExecutorContract  # noqa: E402
from ge_engine.testing.grammar import GrammarContract  # noqa: E402
from ge_engine.testing.language_model import LanguageModelContract  # noqa: E402
from ge_engine.testing.objective import ObjectiveContract  # noqa: E402
from ge_engine.testing.operator import OperatorContract, converse  # noqa: E402
from ge_engine.testing.persona import PersonaContract  # noqa: E402
from ge_engine.testing.selector import SelectorContract  # noqa: E402
from ge_engine.testing.task import TaskContract  # noqa: E402

__all__ = [
    "CheckContract",
    "EvaluatorContract",
    "ExecutorContract",
    "GrammarContract",
    "LanguageModelContract",
    "ObjectiveContract",
    "OperatorContract",
    "PersonaContract",
    "SelectorContract",
    "TaskContract",
    "converse",
]

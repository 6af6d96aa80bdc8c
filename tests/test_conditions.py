"""Conditions on objectives: what they mean, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ge_engine.conditions import parse_condition
from ge_engine.errors import ConfigError

NAMES = ("accuracy", "parameters")
VALUES = {"accuracy": 0.9, "parameters": 300.0}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("accuracy>=0.9", True),
        ("accuracy > 0.9", False),
        ("accuracy>=0.9 and parameters<300", False),
        ("accuracy>=0.9 and parameters<=300", True),
        ("accuracy>1 or not parameters>300", True),
        ("0.5 < accuracy < 0.95", True),
        ("accuracy / parameters * 1000 >= 3", True),
        ("parameters == -(-300)", True),
        ("accuracy / (parameters - 300) > 0", False),
        ("(accuracy>1 or parameters<1) and accuracy>0", False),
    ],
)
def test_a_condition_that_means_something_else(text: str, holds: bool) -> None:
    assert parse_condition(text, NAMES)(VALUES) is holds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("beauty>1", "no objective 'beauty'"),
        ("accuracy", "'accuracy' is no comparison"),
        ("accuracy>=", "invalid syntax"),
        ("", "invalid syntax"),
        ("__import__('os').system('true')>1", "is no number"),
        ("accuracy.real>1", "is no number"),
        ("accuracy>'1'", "is no number"),
        ("accuracy**99999999>1", "is no number"),
        ("accuracy in (1, 2)", "is no comparison"),
        ("(" * 300 + "accuracy" + ")" * 300 + ">1", "cannot be read"),
        ("\x00", "cannot be read"),
    ],
)
def test_a_condition_that_is_refused_without_a_word(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        parse_condition(text, NAMES)
    assert words in caught.value.message
    assert "accuracy" in caught.value.hint


@given(st.text(max_size=30))
def test_a_text_that_raises_something_of_its_own(text: str) -> None:
    try:
        condition = parse_condition(text, NAMES)
    except ConfigError:
        return
    assert condition(VALUES) in (True, False)

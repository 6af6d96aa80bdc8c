"""Long replies: one check of their length before every form, and work that grows with it, not its square."""

from __future__ import annotations

import time

import pytest
from pumped import PUMPED, pumped
from reply_shapes import fence
from test_reply_forms import FORMS, GENOME, TARGET
from transform_seed import SE_WIDE

from ge_engine.contracts import Reply
from ge_engine.grammar.reasoning_prefix import Thinking
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch
from ge_engine.replies.answer import MAX_CHARACTERS, MAX_LINES, cut_into_fences
from ge_engine.replies.block_match import MAX_WORK, BlockMatcher, TooMuch
from ge_engine.source.addressing import locate

SECONDS = 60.0
"""Of processor time. The slowest of these replies takes one; where the work grows with the square of the
length it takes many minutes."""


def reply_of(text: str) -> Reply:
    return Reply(text, "stop", 1, 1, 0.0, "test")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", PUMPED)
def test_a_reply_whose_reading_takes_the_square_of_its_length(name: str, form: str) -> None:
    started = time.process_time()
    reply = reply_of(PUMPED[name])
    assert isinstance(FORMS[form].decode(reply, TARGET), (Patch, Rejected))
    assert isinstance(FORMS[form].canonical(reply, TARGET), str)
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"10: gate = 1\n{'x' * MAX_CHARACTERS}", f"longer than {MAX_CHARACTERS} characters"),
        (fence(SE_WIDE) + "\n" * MAX_LINES, f"more than {MAX_LINES} lines"),
        (fence(SE_WIDE) + "\r" * MAX_LINES, f"more than {MAX_LINES} lines"),
    ],
    ids=["characters", "lines", "old mac lines"],
)
def test_a_form_that_reads_a_reply_of_any_length(form: str, text: str, reason: str) -> None:
    for grammar in (FORMS[form], Thinking(FORMS[form], 20)):
        rejected = grammar.decode(reply_of(text), TARGET)
        assert isinstance(rejected, Rejected)
        assert rejected.stage == "extract"
        assert reason in rejected.reason
        assert isinstance(grammar.canonical(reply_of(text), TARGET), str)


def matcher() -> BlockMatcher:
    target = locate(GENOME, "SE")
    assert not isinstance(target, Rejected)
    return BlockMatcher(GENOME, "SE", target[1])


def test_a_reply_that_can_be_read_in_more_ways_than_are_tried() -> None:
    one = matcher()
    for _ in range(MAX_WORK // 1000):
        one.parse("x" * 1000)
    with pytest.raises(TooMuch):
        one.parse("x" * 1000)
    ways = pumped("```python\nclass SE(nn.Module):\n    x = 1\n", 100_000) + "(\n" + "```\n" * 2000
    rejected = FORMS["block"].decode(reply_of(ways), TARGET)
    assert isinstance(rejected, Rejected)


def test_reading_a_reply_of_common_length_that_comes_near_the_limit_of_work() -> None:
    one = matcher()
    text = "\n".join(f"Version {n}:\n{fence(SE_WIDE)}" for n in range(20))
    answer = cut_into_fences(text, one, False)
    assert len(answer.found) == 20
    assert one.work < MAX_WORK / 20

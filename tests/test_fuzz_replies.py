"""Whatever piece a reply repeats, reading it takes no time that grows with the square of its length.

Not in the default run: `make fuzz` draws many. GE_FUZZ_EXAMPLES sets how many.
"""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reply_variants import VARIANTS
from test_fuzz_transform import PIECES
from test_reply_forms import FORMS, TARGET

from ge_engine.contracts import Grammar, Reply, Target
from ge_engine.outcome import Rejected
from ge_engine.patch import JointPatch, Patch, apply
from ge_plugins.grammars import Blocks

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("GE_FUZZ_EXAMPLES", "30"))
ASKED: dict[str, tuple[Grammar, Target]] = {
    **{name: (form, TARGET) for name, form in FORMS.items()},
    "blocks": (Blocks(), Target(TARGET.genome, "", addresses=TARGET.genome.evolvable)),
}
SECONDS = 30.0
"""Of processor time, for one reply in one form."""
SMALL = st.one_of(PIECES, st.text(alphabet="<>/[]{}()'\"`~:|=-+@# \t\nabN10\\", max_size=8))
STARTS = st.one_of(
    st.just(""), st.sampled_from(["class SE(nn.Module):\n", "10: ", "```python\n", "<think>"]), SMALL
)


@st.composite
def long_replies(draw: st.DrawFn) -> str:
    """A start, one piece up to 190,000 characters, and an end."""
    piece = draw(st.lists(SMALL, min_size=1, max_size=4).map("".join)) or " "
    size = draw(st.sampled_from([2_000, 9_000, 40_000, 190_000]))
    return draw(STARTS) + piece * (size // len(piece)) + draw(SMALL)


@given(long_replies(), st.sampled_from(sorted(ASKED)))
@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def test_a_long_reply_that_holds_up_the_run(text: str, form: str) -> None:
    started = time.process_time()
    reply = Reply(text, "stop", 1, 1, 0.0, "test")
    grammar, target = ASKED[form]
    assert isinstance(grammar.decode(reply, target), Patch | JointPatch | Rejected)
    assert isinstance(grammar.canonical(reply, target), str)
    assert time.process_time() - started < SECONDS


@given(
    st.sampled_from(sorted(VARIANTS)),
    st.sampled_from(sorted(ASKED)),
    st.data(),
    st.sampled_from(["stop", "length"]),
)
@settings(deadline=None, max_examples=EXAMPLES * 3, suppress_health_check=list(HealthCheck))
def test_a_damaged_reply_that_raises(name: str, form: str, data: st.DataObject, finish: str) -> None:
    text = VARIANTS[name].text
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 40)))
        text = text[:start] + data.draw(SMALL) + text[end:]
    reply = Reply(text, finish, 1, 1, 0.0, "test")  # type: ignore[arg-type]
    grammar, target = ASKED[form]
    result = grammar.decode(reply, target)
    assert isinstance(result, Patch | JointPatch | Rejected)
    if isinstance(result, JointPatch):
        apply(target.genome, result)
    assert not isinstance(result, Rejected) or "\n" not in result.reason
    assert isinstance(grammar.canonical(reply, target), str)

"""Replies: the code that was meant, or a reason that a model can act on. R1 to R14 and wider."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reply_shapes import SHAPES, fence, shifted
from transform_seed import FORWARD, SE_WIDE, TEXT, genome_of

from ge_engine.contracts import Reply, Target
from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch, apply, parse_patch
from ge_engine.replies.extraction import Extraction, extract
from ge_plugins.grammars import Block

GENOME = genome_of()


def outcome(text: str, finish: str, address: str) -> Genome | Rejected:
    extraction = extract(text, finish, GENOME, address)
    if isinstance(extraction, Rejected):
        return extraction
    assert extraction.steps
    patch = parse_patch(GENOME, address, extraction.code)
    return apply(GENOME, patch) if isinstance(patch, Patch) else patch


def meant(code: str, address: str) -> Genome:
    patch = parse_patch(GENOME, address, code)
    assert isinstance(patch, Patch), patch
    child = apply(GENOME, patch)
    assert isinstance(child, Genome), child
    return child


def naive(text: str) -> str:
    """What a well-known way of cutting replies gives."""
    match = re.search(r"```(?:python)?\n(.*?)```", text, re.DOTALL)
    return match[1] if match else ""


def test_there_are_enough_shapes() -> None:
    assert len(SHAPES) >= 60
    wrong = sum(shape.naive != "right" for shape in SHAPES.values())
    assert wrong > len(SHAPES) / 2


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_of_reply_gives_what_was_meant_or_a_reason(name: str) -> None:
    shape = SHAPES[name]
    result = outcome(shape.text, shape.finish, shape.address)
    if shape.refused or shape.stage != "extract":
        assert isinstance(result, Rejected), "took something that it should have refused"
        assert result.stage == shape.stage
        assert shape.refused in result.reason
        assert "\n" not in result.reason
    else:
        assert isinstance(result, Genome), result
        assert result.source == meant(shape.code, shape.address).source


@pytest.mark.parametrize("name", SHAPES)
def test_what_a_naive_expression_makes_of_the_shape(name: str) -> None:
    """The table's third column is measured, not claimed."""
    shape = SHAPES[name]
    code = naive(shape.text)
    if not code.strip():
        assert shape.naive == ("nothing" if "```python\n```" not in shape.text else "wrong")
        return
    right = False
    if not shape.refused and name != "unchanged":
        patch = parse_patch(GENOME, shape.address, code)
        child = apply(GENOME, patch) if isinstance(patch, Patch) else patch
        right = isinstance(child, Genome) and child.source == meant(shape.code, shape.address).source
    assert shape.naive == ("right" if right else "wrong")


def test_steps_say_what_was_done() -> None:
    text = (
        f"<think>no</think>\n{fence(SE_WIDE.replace('F.silu', 'F.gelu'))}\n{fence(shifted(SE_WIDE, '    '))}"
    )
    extraction = extract(text, "stop", GENOME, "SE")
    assert isinstance(extraction, Extraction)
    assert extraction.steps == ("dropped the reasoning", "took fence 2 of 2", "shifted to column 0")


def test_what_was_done_to_a_reply_that_reaches_nobody() -> None:
    """It stands in the patch's notes, which `ge show` prints; that a reply was read as asked does not."""
    gelu, shift = SE_WIDE.replace("F.silu", "F.gelu"), shifted(SE_WIDE, "    ")
    read = {
        fence(gelu): (),
        f"<think>no</think>\n{gelu}": (),
        f"{fence(gelu)}\n{fence(shift)}": ("took fence 2 of 2", "shifted to column 0"),
    }
    for text, notes in read.items():
        patch = Block().decode(Reply(text, "stop", 1, 1, 1.0, "m"), Target(GENOME, "SE"))
        assert isinstance(patch, Patch)
        assert patch.notes == notes, text


def test_a_docstring_keeps_its_value_when_an_indented_method_is_shifted() -> None:
    """S10, S11: through the syntax tree, not by cutting blanks from lines."""
    doc = '"""First.\n\nat column 0\n            deep\n        """'
    code = "    def forward(self, x):\n        " + doc + "\n        return x\n"
    result = outcome(fence(code), "stop", "Net.forward")
    assert isinstance(result, Genome)
    net = next(n for n in ast.parse(result.text).body if getattr(n, "name", "") == "Net")
    forward = next(n for n in net.body if getattr(n, "name", "") == "forward")
    assert ast.get_docstring(forward, clean=False) == ast.literal_eval(doc)


def test_typographic_characters_within_strings_stay() -> None:
    """R8."""
    code = FORWARD.replace("x = F", "y\u00a0= \u201ca\u00a0\u2013 b\u201d\n    x = F", 1)
    result = outcome(fence(code), "stop", "Net.forward")
    assert isinstance(result, Genome)
    assert '        y = "a\u00a0\u2013 b"\n' in result.text


def test_a_block_that_does_not_exist_or_cannot_be_evolved_is_refused() -> None:
    assert isinstance(extract(fence(SE_WIDE), "stop", GENOME, "Nett"), Rejected)


def test_an_endless_reply_is_refused() -> None:
    rejected = extract("x" * 500_000, "stop", GENOME, "SE")
    assert isinstance(rejected, Rejected)
    assert "longer than" in rejected.reason


PROSE = st.sampled_from(
    ["", "Sure!", "Here is the block:", "I made it wider.", "Note: shapes stay.", "1. wider\n2. SiLU"]
)
CODES = {
    "SE": [SE_WIDE, SE_WIDE.replace("F.silu", "F.gelu"), SE_WIDE.replace("2)", "8)")],
    "Net.forward": [FORWARD, FORWARD.replace("F.relu", "F.elu")],
    "make_norm": ['def make_norm(channels):\n    """``` {x} %s"""\n    return nn.GroupNorm(1, channels)\n'],
    "Net": [TEXT[TEXT.index("@torch.no_grad") : TEXT.index("\n\n# the end")].replace("2 * x", "3 * x")],
}  # fmt: skip
CASES = [(address, code) for address, codes in CODES.items() for code in codes]


@st.composite
def wrapped(draw: st.DrawFn) -> tuple[str, str, str]:
    """An address, its new code, and a reply that holds it in some wrapping."""
    address, code = draw(st.sampled_from(CASES))
    marks = draw(st.sampled_from(["```", "````", "~~~", "`````"]))
    info = draw(st.sampled_from(["", "python", "py", "python3", "Python title=a.py"]))
    inner = shifted(code, draw(st.sampled_from(["", "", "    ", "\t"])))
    text = f"{draw(PROSE)}\n\n{marks}{info}\n{inner}{marks}\n\n{draw(PROSE)}"
    if draw(st.booleans()):
        text = f"{fence('x = 1' + chr(10))}\n{text}"
    if draw(st.booleans()):
        draft = "def f(x):\n    return x\n"
        text = f"<think>\n{draw(PROSE)}\n{fence(draft)}\n</think>\n{text}"
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return address, code, text


@given(wrapped())
@settings(deadline=None, max_examples=80)
def test_code_comes_out_of_every_generated_wrapping_as_it_went_in(case: tuple[str, str, str]) -> None:
    """extract(render(code)) == code, up to the indent of the whole."""
    address, code, text = case
    extraction = extract(text, "stop", GENOME, address)
    assert isinstance(extraction, Extraction), extraction
    assert meant(extraction.code, address).source == meant(code, address).source

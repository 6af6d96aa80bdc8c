"""One way from a reply to code, whatever form was asked for."""

from __future__ import annotations

import pytest
from reply_shapes import SHAPES
from reply_variants import VARIANTS
from test_reply import meant
from transform_seed import SE_WIDE, genome_of

from ge_engine.contracts import Grammar, Reply, Target
from ge_engine.genome import Genome
from ge_engine.grammar import edits
from ge_engine.outcome import Rejected
from ge_engine.patch import apply
from ge_plugins.grammars import Block, Diff, Edits

GENOME = genome_of()
FORMS: dict[str, Grammar] = {form.name: form for form in (Block(), Edits(), Diff())}


def asking(address: str, *numbers: str) -> Target:
    """A target whose form `edits` asks for these lines."""
    for seed in range(500):
        plan = edits.plan(target := Target(GENOME, address, seed=seed))
        if not isinstance(plan, Rejected) and [one.partition(":")[0] for one in plan.shown] == [*numbers]:
            return target
    pytest.fail(f"{numbers} are never asked for")


TARGET = asking("SE", "10", "11")


def outcome(form: Grammar, text: str, finish: str, target: Target) -> Genome | Rejected:
    patch = form.decode(Reply(text, finish, 1, 1, 0.0, "test"), target)  # type: ignore[arg-type]
    return patch if isinstance(patch, Rejected) else apply(target.genome, patch)


def test_there_are_enough_variants() -> None:
    assert len(VARIANTS) >= 60


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_that_means_something_else_in_another_form(name: str, form: str) -> None:
    variant = VARIANTS[name]
    expected = getattr(variant, form)
    result = outcome(FORMS[form], variant.text, variant.finish, TARGET)
    if expected.startswith("!"):
        assert isinstance(result, Rejected), result.blocks["SE"].code
        assert result.stage in ("extract", "compile")
        assert expected[1:] in result.reason
        assert "\n" not in result.reason
    else:
        assert isinstance(result, Genome), result
        assert result.source == meant(expected, "SE").source


@pytest.mark.parametrize("form", ["edits", "diff"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_of_reply_that_is_read_otherwise_in_another_form(name: str, form: str) -> None:
    """A whole block means the same, whatever was asked for, and is refused for the same kind of reason."""
    shape = SHAPES[name]
    result = outcome(FORMS[form], shape.text, shape.finish, Target(GENOME, shape.address))
    if shape.refused or shape.stage != "extract":
        assert isinstance(result, Rejected)
    else:
        assert isinstance(result, Genome), result
        assert result.source == meant(shape.code, shape.address).source


MARKS = (
    "<eos>", "<bos>", "[INST]", "[/INST]", "<|endoftext|>", "<|im_end|>", "<|im_start|>assistant", "</s>",
    "<|channel|>final<|message|>", "<think>", "</think>", "[THINK]", "[/THINK]", "[reflection]", "<s>",
    "</analysis>",
    "<start_of_turn>model", "<|eot_id|>", "<original>", "</draft>", "```", "<<<<<<< SEARCH", "10: x = 1",
)  # fmt: skip
AROUND = {
    "in a fence": "Here it is.\n\n```python\n{}```\nIt is wider.",
    "bare": "{}",
    "bare, within marks": "<|im_start|>assistant\n{}<|im_end|>",
    "in a fence, after a thought": "<think>\nhm\n</think>\n```python\n{}```",
    "in a fence, within marks": "[/INST] ```python\n{}```</s>",
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("mark", MARKS)
def test_a_string_or_comment_that_changes_on_its_way_out_of_a_reply(mark: str, around: str) -> None:
    """Whatever a literal says, on one line or on its own line, the code keeps it."""
    for literal in (f'"{mark}"', f"'{mark} and more'", f'"""\n{mark}\n"""', f'"a"  # {mark}'):
        code = SE_WIDE.replace('    """Gate."""\n', f"    text = {literal}\n")
        text = AROUND[around].format(code)
        for form in FORMS.values():
            result = outcome(form, text, "stop", TARGET)
            assert isinstance(result, Genome), (literal, result)
            assert result.source == meant(code, "SE").source


def test_a_long_block_is_read_by_the_lines_that_were_asked_for() -> None:
    """The form `block` asks for lines where the block is too long for one reply, and else for no lines."""
    body = "".join(f"    x = F.relu(x) + {n}\n" for n in range(150))
    genome = genome_of(f"import torch.nn.functional as F\n\n\ndef f(x):\n{body}    return x\n")
    target = Target(genome, "f")
    plan = edits.plan(target)
    assert not isinstance(plan, Rejected)
    asked = [int(line.partition(":")[0]) for line in plan.shown]
    answer = "\n".join(f"{n}: x = F.gelu(x)" for n in asked)
    child = outcome(Block(), answer, "stop", target)
    assert isinstance(child, Genome), child
    assert child.text.count("F.gelu") == len(asked)
    other = next(n for n in range(2, 150) if n not in asked)
    refused = outcome(Block(), f"{other}: x = F.gelu(x)", "stop", target)
    assert isinstance(refused, Rejected)
    assert "not asked for" in refused.reason

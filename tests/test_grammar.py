"""Grammars: what must be admitted, what must be refused, and what must never come back."""

from __future__ import annotations

import ast
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeGuard

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher

from ge_engine.contracts import Grammar, Prompt, Reply, Request, Sampling, Target
from ge_engine.genome import Genome, Seed
from ge_engine.grammar import edits, shape_preserving
from ge_engine.grammar.block import MOST_CHARACTERS
from ge_engine.grammar.block_template import Piece, filled, template_of
from ge_engine.grammar.choices import NOTHING, Either, Part, contains, either, longest, remove, strings
from ge_engine.grammar.lark_builder import template
from ge_engine.grammar.reasoning_prefix import Thinking, answer_of
from ge_engine.grammar.signatures import parameters
from ge_engine.llm.local import LocalModel
from ge_engine.llm.uniform import UniformModel, byte_tokenizer
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch, apply
from ge_engine.replies.extraction import Extraction, edited, extract
from ge_engine.search.prompting import _with_room
from ge_plugins.grammars import Block, Diff, Edits

ROOT = Path(__file__).parents[1]
SEEDS = sorted((ROOT / "examples").glob("*.py"))
FORMS: tuple[Grammar, ...] = (Block(), Diff(), Edits())
SEED = Seed.load(ROOT / "examples" / "exquisitenet_v2.py").genome


def genomes() -> Iterator[Genome]:
    for path in SEEDS:
        yield Seed.load(path).genome


def reply_of(text: str) -> Reply:
    return Reply(text, "stop", 1, 1, 0.0, "test")


def drawn(form: Grammar, target: Target, seed: int = 0) -> Reply:
    constraint = form.constraint(target)
    assert not isinstance(constraint, Rejected), constraint
    ((_, reply),) = UniformModel().generate(
        [Request("t", Prompt("", ""), Sampling(1.0, 4000, seed), constraint)]
    )
    assert reply.finish == "stop", reply
    return reply


def accepts(grammar: str, text: str) -> bool:
    matcher = LLMatcher(byte_tokenizer(), LLMatcher.grammar_from_lark(grammar))
    assert not matcher.is_error(), matcher.get_error()
    data = list(text.encode())
    return matcher.try_consume_tokens(data) == len(data) and matcher.is_accepting()


def child(form: Grammar, target: Target, reply: Reply) -> Genome:
    patch = form.decode(reply, target)
    assert isinstance(patch, Patch), (patch, reply.text)
    genome = apply(target.genome, patch)
    assert isinstance(genome, Genome), (genome, reply.text)
    return genome


@pytest.mark.parametrize("form", [Block(), Edits()], ids=lambda form: form.name)
def test_a_draw_that_does_not_parse_or_changes_nothing(form: Grammar) -> None:
    for genome in genomes():
        for address in genome.evolvable:
            for seed in range(3):
                target = Target(genome, address, seed=seed)
                if isinstance(form.constraint(target), Rejected):
                    continue
                new = child(form, target, drawn(form, target, seed))
                compile(new.source, "child", "exec")
                assert new.digest != genome.digest, address


def test_a_class_of_an_example_that_no_form_can_rewrite() -> None:
    for genome in genomes():
        for address, block in genome.blocks.items():
            if block.kind == "class" and not block.reason and "nn.Module" in block.code.split("\n")[0]:
                target = Target(genome, address)
                assert not isinstance(Edits().constraint(target), Rejected), address
                assert not isinstance(Block().constraint(target), Rejected), address


@pytest.mark.parametrize("form", [Block(), Edits()], ids=lambda form: form.name)
def test_an_answer_that_comes_back_although_it_was_tried(form: Grammar) -> None:
    tried: set[str] = set()
    digests: set[str] = set()
    for draw in range(25):
        target = Target(
            SEED, "DW.forward" if form.name == "block" else "SELayerNorm.__init__", frozenset(tried), draw % 2
        )
        if isinstance(form.constraint(target), Rejected):
            break
        reply = drawn(form, target, draw)
        answer = form.canonical(reply, target)
        assert answer not in tried
        tried.add(answer)
        digests.add(child(form, target, reply).digest)
    assert len(tried) >= 8
    assert len(digests) == len(tried)


def test_all_answers_tried_ends_in_a_refusal_not_in_a_repetition() -> None:
    tried: set[str] = set()
    code = SEED.blocks["SELayerNorm.__init__"]
    for draw in range(400):
        target = Target(SEED, code.address, frozenset(tried), 3)
        if isinstance(Edits().constraint(target), Rejected):
            return
        tried.add(Edits().canonical(drawn(Edits(), target, draw), target))
    pytest.fail("the grammar never ran dry")


def test_the_same_seed_opens_the_same_and_another_seed_something_else() -> None:
    for form in (Block(), Edits()):
        grammars = []
        for seed in (1, 1, 2, 3):
            constraint = form.constraint(Target(SEED, "DFSEB", seed=seed))
            assert not isinstance(constraint, Rejected)
            grammars.append(constraint.whole())
        assert grammars[0] == grammars[1]
        assert len(set(grammars)) == 3


def test_a_new_layer_that_the_forward_pass_does_not_call() -> None:
    added = 0
    for seed in range(40):
        target = Target(SEED, "DW", seed=seed)
        text = drawn(Block(), target, seed).text
        tree = ast.parse(text)
        calls = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)]
        names = {
            n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)
        }
        fresh = names - {"depthwise", "act"}
        added += bool(fresh)
        assert all(any(call.attr == name for call in calls) for name in fresh), text
    assert added >= 5


def test_the_second_part_is_made_from_what_the_first_one_assigned() -> None:
    constraint = next(
        c
        for seed in range(50)
        if (c := Block().constraint(Target(SEED, "DW", seed=seed))) and c._draft.cut  # type: ignore[union-attr]
    )
    assert not isinstance(constraint, Rejected)
    code = SEED.blocks["DW"].code
    head = code[: constraint._draft.cut]  # type: ignore[attr-defined]
    rest = constraint.part(head + "\n        self.mixer = nn.ReLU()")
    assert rest is not None
    assert "self.mixer(" in rest
    assert constraint.part(head + "\n" + code[constraint._draft.cut :]) is None  # type: ignore[attr-defined]


BROKEN = (
    "",
    "99: self.act = nn.ReLU()",
    "0: x = 1",
    "5 self.act = nn.ReLU()",
    "I would change the activation.",
    "5: self.act = nn.ReLU(",
    "5: def",
    "width 9 = 12",
    "width 12 = 0\nwidth 48 = 12",
    "5: " + "(" * 4000,
    "<<<<<<< SEARCH\nnot there\n=======\nx\n>>>>>>> REPLACE",
    "<<<<<<< SEARCH\n\n=======\nx\n>>>>>>> REPLACE",
    "```python\nclass Other(nn.Module):\n    pass\n```",
    "class DW(nn.Module):\n    def __init__(self, channels):\n        ...",
)


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_broken_answer_that_is_not_refused(form: Grammar, text: str) -> None:
    target = Target(SEED, "DW")
    patch = form.decode(reply_of(text), target)
    genome = patch if isinstance(patch, Rejected) else apply(SEED, patch)
    assert isinstance(genome, Rejected)
    assert genome.reason
    constraint = form.constraint(target)
    assert not isinstance(constraint, Rejected)
    assert not accepts(constraint.whole(), text)


@given(st.text(max_size=300), st.sampled_from(FORMS), st.sampled_from(SEED.evolvable))
@settings(max_examples=150, deadline=None)
def test_reading_a_malformed_answer_that_raises(text: str, form: Grammar, address: str) -> None:
    target = Target(SEED, address)
    assert isinstance(form.decode(reply_of(text), target), Patch | Rejected)
    assert isinstance(form.canonical(reply_of(text), target), str)


def test_the_old_block_and_trailing_prose_are_outside_the_block_grammar() -> None:
    target = Target(SEED, "DFSEB")
    constraint = Block().constraint(target)
    assert not isinstance(constraint, Rejected)
    reply = drawn(Block(), target)
    assert not accepts(constraint.whole(), SEED.blocks["DFSEB"].code)
    assert not accepts(constraint.whole(), reply.text + "\nThis helps.")


EVERY_BLOCK = [
    pytest.param(
        genome,
        address,
        id=f"{path.stem}, {address}",
        marks=[pytest.mark.long(path.stem)] if number % 3 else [],
    )
    for path, genome in zip(SEEDS, genomes(), strict=True)
    for number, address in enumerate(genome.evolvable)
]
"""A third of them in every run."""
NOTHING_OPEN = {
    "block": {"char_job, score", "char_job, loss_of", "make_shapes, draw", "make_shapes, colour"}
    | {"make_shapes, main", "plain_cnn, PlainCNN.__init__"},
    "edits": {"char_job, score", "char_job, loss_of", "char_job, load", "make_shapes, draw"}
    | {"make_shapes, colour", "make_shapes, main"},
}
"""Blocks of the examples without a layer, a tensor or a number that these forms may change. In
`PlainCNN.__init__` only widths can change, together, which `edits` does."""


def first_of(part: Part) -> str:
    """The first of a part's strings."""
    if isinstance(part, str):
        return part
    return first_of(part.options[0]) if isinstance(part, Either) else "".join(map(first_of, part))


def with_least_changes(code: str, pieces: Sequence[Piece]) -> tuple[str, int]:
    """The block as the file has it but for the places that must change, and how many these are."""
    changed = 0
    for piece in sorted(pieces, key=lambda piece: piece.start, reverse=True):
        own = code[piece.start : piece.end]
        if not contains(piece.part, own):
            code = code[: piece.start] + first_of(piece.part) + code[piece.end :]
            changed += 1
    return code, changed


@pytest.mark.parametrize(("genome", "address"), EVERY_BLOCK)
def test_an_example_with_one_change_that_the_block_grammar_refuses(
    genome: Genome, address: str, request: pytest.FixtureRequest
) -> None:
    """Not a draw: the file's own text, in which one place is another."""
    code = genome.blocks[address].code
    for seed in range(60):
        target = Target(genome, address, seed=seed)
        constraint = Block().constraint(target)
        if isinstance(constraint, Rejected):
            continue
        assert request.node.callspec.id not in NOTHING_OPEN["block"]
        text, changed = with_least_changes(code, constraint._draft.pieces)  # type: ignore[attr-defined]
        if changed != 1:
            continue
        assert accepts(constraint.whole(), text), text
        assert not accepts(constraint.whole(), code)
        assert child(Block(), target, reply_of(text)).digest != genome.digest
        return
    assert request.node.callspec.id in NOTHING_OPEN["block"]


@pytest.mark.parametrize(("genome", "address"), EVERY_BLOCK)
def test_an_example_with_one_change_that_the_edits_grammar_refuses(
    genome: Genome, address: str, request: pytest.FixtureRequest
) -> None:
    for seed in range(60):
        target = Target(genome, address, seed=seed)
        plan = edits.plan(target)
        if isinstance(plan, Rejected) or len(plan.lines) != 1:
            continue
        assert request.node.callspec.id not in NOTHING_OPEN["edits"]
        constraint = Edits().constraint(target)
        assert not isinstance(constraint, Rejected)
        text = first_of(plan.lines[0])
        assert accepts(constraint.whole(), text), text
        assert not accepts(constraint.whole(), plan.shown[0])
        assert child(Edits(), target, reply_of(text)).digest != genome.digest
        return
    assert request.node.callspec.id in NOTHING_OPEN["edits"]


@pytest.mark.parametrize(("genome", "address"), EVERY_BLOCK)
def test_an_example_with_one_change_that_the_diff_grammar_refuses(genome: Genome, address: str) -> None:
    """Every line that occurs once, in any block, can be replaced."""
    lines = genome.blocks[address].code.split("\n")
    target = Target(genome, address)
    constraint = Diff().constraint(target)
    assert not isinstance(constraint, Rejected)
    grammar = constraint.whole()
    for line in [line for line in lines if line.strip() and lines.count(line) == 1]:
        hunk = f"<<<<<<< SEARCH\n{line}\n=======\n{line}  # as it was\n>>>>>>> REPLACE\n"
        assert accepts(grammar, hunk), line
        read = extract(hunk, "stop", genome, address, edited)
        assert isinstance(read, Extraction)
        assert read.code == "\n".join(f"{one}  # as it was" if one == line else one for one in lines)


def asking(address: str, key: str) -> Target:
    """A target that asks for the line, or the width, `key`."""
    for seed in range(500):
        plan = edits.plan(target := Target(SEED, address, seed=seed))
        if not isinstance(plan, Rejected) and key in [one.partition(":")[0] for one in plan.shown]:
            return target
    pytest.fail(f"{key} is never asked for")


def test_a_width_that_is_changed_in_one_place_only() -> None:
    target = asking("ExquisiteNetV2", "width 384")
    genome = child(Edits(), target, reply_of("width 384 = 256"))
    code = genome.blocks["ExquisiteNetV2"].code
    assert "384" not in code
    assert code.count("256") == 4


def test_an_edit_of_a_line_in_a_long_call_leaves_its_neighbours() -> None:
    lines = SEED.blocks["ExquisiteNetV2"].code.split("\n")
    number = next(i for i, line in enumerate(lines, 1) if "DFSEB(48)" in line)
    target = asking("ExquisiteNetV2", str(number))
    genome = child(Edits(), target, reply_of(f"{number}: DFSEB(48), DFSEB(48),"))
    new = genome.blocks["ExquisiteNetV2"].code.split("\n")
    assert [a for a, b in zip(lines, new, strict=True) if a != b] == [lines[number - 1]]


def test_a_statement_over_three_lines_is_replaced_as_one() -> None:
    lines = SEED.blocks["FCT.__init__"].code.split("\n")
    number = next(i for i, line in enumerate(lines, 1) if "self.depthwise" in line)
    target = asking("FCT.__init__", str(number))
    new = f"{number}: self.depthwise = nn.Conv2d(in_channels, in_channels, 2, stride=2, groups=in_channels)"
    genome = child(Edits(), target, reply_of(new))
    assert genome.blocks["FCT.__init__"].code.count("\n") == len(lines) - 3


def test_a_diff_that_matches_twice() -> None:
    target = Target(SEED, "DFSEB")
    text = "<<<<<<< SEARCH\n        self.norm1\n=======\n        x\n>>>>>>> REPLACE"
    assert isinstance(Diff().decode(reply_of(text), target), Rejected)
    code = SEED.blocks["DFSEB"].code
    line = next(line for line in code.split("\n") if "self.act1 = " in line)
    good = f"<<<<<<< SEARCH\n{line}\n=======\n{line.replace('SiLU', 'GELU')}\n>>>>>>> REPLACE"
    genome = child(Diff(), target, reply_of(good))
    assert "self.act1 = nn.GELU()" in genome.blocks["DFSEB"].code


def test_a_drawn_diff_applies_or_is_refused_by_the_compiler() -> None:
    target = Target(SEED, "DW")
    for seed in range(5):
        patch = Diff().decode(drawn(Diff(), target, seed), target)
        assert isinstance(patch, Patch) or patch.stage != "extract" or "overlap" in patch.reason, patch


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "grammars").glob("*.lark")))
def test_a_template_that_does_not_say_what_it_admits(name: str) -> None:
    text = template(name)
    assert text.startswith("// Admits:")
    assert "// Refuses:" in text


def test_spellings_of_torch_decide_what_is_offered() -> None:
    source = (
        "import torch\nfrom torch.nn import Conv2d, Module, ReLU, GELU\n\n"
        "class Net(Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.conv = Conv2d(3, 8, 3, padding=1)\n        self.act = ReLU()\n\n"
        "    def forward(self, x):\n        return self.act(self.conv(x)).mean(dim=(2, 3))\n"
    )
    genome = Seed.from_bytes(source.encode()).genome
    rng = random.Random(0)
    for seed in range(20):
        target = Target(genome, "Net.__init__", seed=seed)
        text = drawn(Block(), target, rng.getrandbits(30)).text
        tree = ast.parse(text)
        used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        assert "nn" not in used, text


def parts() -> st.SearchStrategy[Part]:
    leaves: st.SearchStrategy[Part] = st.text("ab", max_size=2)
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3).map(either) | st.lists(inner, max_size=3).map(tuple)
        ),
        max_leaves=8,
    )


@given(parts(), st.data())
def test_taking_strings_out_of_a_part_takes_exactly_those(part: Part, data: st.DataObject) -> None:
    before = strings(part)
    barred = data.draw(st.frozensets(st.sampled_from(sorted(before)) | st.text("ab", max_size=4), max_size=4))
    left = remove(part, barred)
    assert strings(left) == before - barred
    assert (left == NOTHING) == (not before - barred)
    assert all(contains(part, text) == (text in before) for text in barred)


def parents(seed: int) -> tuple[Genome, Genome]:
    """Two that differ in DFSEB: one or more edits each."""
    found = []
    for draw in (seed, seed + 1000):
        genome = SEED
        for step in range(2):
            target = Target(genome, "DFSEB", seed=draw + step)
            genome = child(Edits(), target, drawn(Edits(), target, draw + step))
        found.append(genome)
    return found[0], found[1]


def test_a_mating_that_takes_nothing_from_the_second_parent_or_repeats_a_parent() -> None:
    taken = 0
    for seed in range(15):
        first, second = parents(seed)
        other = second.blocks["DFSEB"].code
        target = Target(first, "DFSEB", seed=seed, material=other)
        new = child(Block(), target, drawn(Block(), target, seed))
        assert new.blocks["DFSEB"].digest not in (first.blocks["DFSEB"].digest, second.blocks["DFSEB"].digest)
        own, theirs = (set(code.split("\n")) for code in (first.blocks["DFSEB"].code, other))
        taken += bool(set(new.blocks["DFSEB"].code.split("\n")) & (theirs - own))
    assert taken >= 12


def test_a_block_of_one_statement_that_cannot_be_mated() -> None:
    other = SEED.blocks["DW.forward"].code.replace("x)))", "F.relu(x))))").replace("(x))", "(x * 2))")
    assert other != SEED.blocks["DW.forward"].code
    for seed in range(5):
        target = Target(SEED, "DW.forward", seed=seed, material=other)
        assert child(Block(), target, drawn(Block(), target, seed)).blocks["DW.forward"].code != other


def test_material_that_is_no_code_of_this_block() -> None:
    for text in (
        "def (",
        "x = 1",
        "class Other:\n    def forward(self):\n        return self.nowhere\n",
        "\0",
    ):
        target = Target(SEED, "DFSEB", material=text)
        reply = drawn(Block(), target)
        assert "nowhere" not in reply.text
        child(Block(), target, reply)


PLAIN = """import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.act = nn.ReLU()
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.conv(x)
        x = self.act(x)
        x = F.relu(x)
        return self.head(x.mean(dim=(2, 3)))
"""


def test_a_kind_of_new_statement_that_never_occurs() -> None:
    """Dropped, repeated in a loop, with a new attribute, with another function of torch."""
    genome = Seed.from_bytes(PLAIN.encode()).genome
    code = genome.blocks["Net"].code
    kinds: Counter[str] = Counter()
    for seed in range(60):
        target = Target(genome, "Net", seed=seed)
        text = drawn(Block(), target, seed).text
        compile(text, "block", "exec")
        kinds["dropped"] += text.count("\n") < code.count("\n")
        kinds["loop"] += "for _ in range(" in text
        kinds["attribute"] += len(_stored(text)) > len(_stored(code))
        kinds["function"] += text.count("F.") > code.count("F.")
    assert all(kinds[kind] for kind in ("dropped", "loop", "attribute", "function")), kinds


def _stored(code: str) -> set[str]:
    return {n.attr for n in ast.walk(ast.parse(code)) if _is_store(n)}


def test_a_convolution_in_a_convolution_that_does_not_parse() -> None:
    """Its width is an expression with a comma by then."""
    source = PLAIN.replace("nn.Conv2d(3, width, 3", "nn.Conv2d(max(1, 3), width, 3")
    genome = Seed.from_bytes(source.encode()).genome
    for form in (Block(), Edits()):
        for seed in range(25):
            target = Target(genome, "Net.__init__", seed=seed)
            compile(child(form, target, drawn(form, target, seed)).source, "child", "exec")


def _is_store(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)


def test_a_keyword_that_a_function_does_not_have_or_has_twice() -> None:
    for known in (shape_preserving.functions(), shape_preserving.layers()):
        assert len(known) >= 15
    for name, keywords in shape_preserving.functions().items():
        assert set(keywords) <= set(dict(parameters("F", name)))
    assert not {"dropout", "gumbel_softmax", "glu", "linear", "relu_"} & set(shape_preserving.functions())
    for address in ("DFSEB", "DW", "ME"):
        for seed in range(20):
            target = Target(SEED, address, seed=seed)
            for node in ast.walk(ast.parse(drawn(Block(), target, seed).text)):
                if isinstance(node, ast.Call):
                    given = [k.arg for k in node.keywords]
                    assert len(given) == len(set(given))


def test_an_answer_of_the_block_form_without_a_bound() -> None:
    """No answer is much longer than the block: the token limit cannot cut one off half-way."""
    for address, block in SEED.blocks.items():
        if not block.reason and len(block.code) <= MOST_CHARACTERS:
            for seed in range(4):
                draft = template_of(Target(SEED, address, seed=seed), block.code, random.Random(seed))
                if draft is not None:
                    assert (
                        longest(filled(block.code, 0, len(block.code), draft.pieces)) < len(block.code) + 1500
                    )


def long_block(layers: int) -> Genome:
    """A class of about 90 characters for each of `layers`."""
    lines = [
        f"        self.conv{i} = nn.Conv2d(width, width, kernel_size=3, padding=1)" for i in range(layers)
    ]
    calls = [f"        x = F.relu(self.conv{i}(x))" for i in range(layers)]
    code = PLAIN.replace("    def forward", "\n".join(lines) + "\n\n    def forward", 1)
    return Seed.from_bytes(code.replace("        x = F.relu(x)", "\n".join(calls)).encode()).genome


def test_a_long_block_that_the_token_limit_cuts_off(smollm2: LocalModel) -> None:
    """The limit drawn for a prompt may be less than the block has tokens; the rewrite has room anyway."""
    genome = long_block(17)
    code = genome.blocks["Net"].code
    assert MOST_CHARACTERS * 0.75 < len(code) <= MOST_CHARACTERS
    assert len(smollm2.tokenizer.encode(code)) > 600
    for form in (Block(), Thinking(Block(), 30)):
        for seed in range(6):
            target = Target(genome, "Net", seed=seed)
            constraint = form.constraint(target)
            assert not isinstance(constraint, Rejected)
            sampling = _with_room(Sampling(1.0, 600, seed), constraint)
            ((_, reply),) = UniformModel().generate([Request("t", Prompt("", ""), sampling, constraint)])
            assert reply.finish == "stop"
            answer = answer_of(reply.text)
            assert answer is not None
            assert len(answer) <= constraint.longest  # type: ignore[attr-defined]
            assert len(smollm2.tokenizer.encode(reply.text)) <= sampling.max_tokens


def test_a_short_block_keeps_the_limit_that_was_drawn() -> None:
    constraint = Block().constraint(Target(SEED, "DW"))
    assert not isinstance(constraint, Rejected)
    assert _with_room(Sampling(1.0, 600, 0), constraint).max_tokens == 600
    free = Diff().constraint(Target(SEED, "DW"))
    assert not isinstance(free, Rejected)
    assert _with_room(Sampling(1.0, 600, 0), free).max_tokens == 600

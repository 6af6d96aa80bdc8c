"""Entries of a YAML file as blocks: what a rewrite changes, to the byte, and what it may not."""

from __future__ import annotations

import pickle
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ge_engine.context.file import file
from ge_engine.contracts import Prompt, Reply, Target
from ge_engine.errors import SeedError
from ge_engine.genome import Genome, Seed, differing
from ge_engine.grammar.choices import strings
from ge_engine.grammar.rewrite_sites import Site, find_sites
from ge_engine.grammar.scope import scope_of
from ge_engine.joint_genome import joined
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch, apply, parse_patch, transplant
from ge_engine.replies.blocks import read_blocks
from ge_engine.replies.extraction import extract
from ge_engine.source.language import LANGUAGES, YAML
from ge_engine.structure.moves import moves_of
from ge_engine.variant import as_genome
from ge_plugins.grammars import Block, Blocks, Edits, Moves

TEXT = """\
# Figures of the network.
lr: 0.01   # the step
steep: 3e-4
"width": 64
model:
    widths: [8, 16]  # both layers
    act: 'relu'

    fast: yes
    depth: {low: 1, high: 0x10}
layers:
- 64
- 128   # the last one
# --- not the model's ---
base: &base {x: 1}
other: *base
when: 2020-01-01
text: |
  two
  lines
none:
epochs: 3
5: five
"""
EVOLVED = ["lr", "steep", "width", "model", "layers"]


def seed_of(text: str, newline: str = "\n", bom: str = "") -> Seed:
    return Seed.parsed((bom + text.replace("\n", newline)).encode(), Path("conf.yaml"))


GENOME = seed_of(TEXT).genome


def rewritten(genome: Genome, address: str, code: str) -> Genome:
    patch = parse_patch(genome, address, code)
    assert isinstance(patch, Patch), patch
    child = apply(genome, patch)
    assert isinstance(child, Genome), child
    return child


def refused(address: str, code: str) -> str:
    patch = parse_patch(GENOME, address, code)
    assert isinstance(patch, Rejected), patch
    return patch.reason


# --- shapes of files ---------------------------------------------------------------------------

SCALARS = st.one_of(
    st.integers(-5, 5000),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.booleans(),
    st.text("ab #:'\"-[]{},&*!|>%@`?\u00e4\u2028\n\ttrue", max_size=6),
    st.none(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
    max_leaves=6,
)
CONFIGS = st.dictionaries(
    st.sampled_from(["lr", "model", "w-1", "depth_", "\u00e4hnlich"]), VALUES, min_size=1, max_size=4
)
BETWEEN = st.sampled_from(["", "\n", "# a comment: with [marks]\n", "   # deeper\n\n"])


@st.composite
def files(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """The text of a file in one of many layouts, and what it means."""
    config = draw(CONFIGS)
    parts = []
    for key, value in config.items():
        style = {
            "default_flow_style": draw(st.sampled_from([True, False, None])),
            "indent": draw(st.sampled_from([2, 4])),
            "width": draw(st.sampled_from([20, 80])),
            "allow_unicode": draw(st.booleans()),
        }
        text = yaml.safe_dump({key: value}, **style)
        if text.startswith("{"):
            text = f"{key}: {yaml.safe_dump(value, **style).removesuffix(chr(10)).removesuffix('...')}"
        comment = draw(st.sampled_from(["", "  # beside"])) if not text.endswith("\n") else ""
        parts.append(f"{draw(BETWEEN)}{text.rstrip(chr(10))}{comment}\n")
    whole = "".join(parts)
    try:
        assume(yaml.safe_load(whole) == config)
    except yaml.YAMLError:
        assume(False)
    return whole, config


LAYOUTS = st.tuples(files(), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\ufeff"]))
wide = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)


def seed_in(layout: tuple[tuple[str, dict[str, Any]], str, str]) -> tuple[Seed, dict[str, Any]]:
    (text, _), newline, bom = layout
    whole = (bom + text.replace("\n", newline)).encode()
    meant = yaml.safe_load(whole.decode().removeprefix(bom))
    return Seed.parsed(whole, Path("conf.yaml")), meant


def meaning(genome: Genome) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(genome.text)
    return found


def sites_of(genome: Genome, address: str) -> list[Site]:
    source = YAML.source(genome.blocks[address].code)
    return find_sites(source, scope_of(genome, address), random.Random(0), 5)


@given(LAYOUTS)
@wide
def test_a_file_whose_bytes_are_not_given_back(layout: Any) -> None:
    seed, meant = seed_in(layout)
    assert seed.genome.source == seed.source
    assert list(seed.genome.blocks) == list(meant)
    assert [yaml.safe_load(block.code) for block in seed.genome.blocks.values()] == [
        {key: value} for key, value in meant.items()
    ]
    again = pickle.loads(pickle.dumps(seed.genome))
    assert (again.source, again.digest) == (seed.source, seed.genome.digest)


@given(LAYOUTS, st.randoms(use_true_random=False))
@wide
def test_a_number_changed_that_changes_another_byte_or_type(layout: Any, rng: random.Random) -> None:
    """Each value that a typed grammar offers: of its type, in its place, with all else as it was."""
    seed, meant = seed_in(layout)
    for address in seed.genome.evolvable:
        for site in sites_of(seed.genome, address):
            code = seed.genome.blocks[address].code
            new = rng.choice(sorted(strings(site.part)))
            changed = code[: site.start] + new + code[site.end :]
            child = rewritten(seed.genome, address, changed)
            assert child.text == with_entry(seed, address, changed)
            after = meaning(child)
            assert {k: v for k, v in after.items() if k != address} == {
                k: v for k, v in meant.items() if k != address
            }
            assert types_of(after[address]) == types_of(meant[address])
            assert after[address] != meant[address]
            assert differing(seed.genome, child) == (address,)


def with_entry(seed: Seed, address: str, code: str) -> str:
    """The text of the file, all of whose line ends are alike, with another text for one entry."""
    return "".join(
        code.replace("\n", seed.newline) if one.name == address else one.text for one in seed.cut.segments
    )


def types_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: types_of(one) for key, one in value.items()}
    return [types_of(one) for one in value] if isinstance(value, list) else type(value)


@given(LAYOUTS, VALUES)
@wide
def test_an_entry_written_anew_that_means_something_else_or_reaches_beyond_itself(
    layout: Any, value: Any
) -> None:
    seed, meant = seed_in(layout)
    for address in seed.genome.evolvable:
        patch = parse_patch(seed.genome, address, yaml.safe_dump({address: value}, allow_unicode=True))
        if isinstance(patch, Rejected):
            assert patch.stage in ("compile", "contract")
            continue
        child = apply(seed.genome, patch)
        assert isinstance(child, Genome), child
        assert meaning(child) == meant | {address: value}
        before, after = seed.genome.files[""].segments, child.files[""].segments
        assert [one.text for one in after if one.name != address] == [
            one.text for one in before if one.name != address
        ]
        assert pickle.loads(pickle.dumps(child)).source == child.source
        other = transplant(child, address)
        again = apply(seed.genome, other)
        assert isinstance(again, Genome)
        assert again.digest == child.digest


# --- what is a block ---------------------------------------------------------------------------


def test_an_entry_that_is_a_block_though_another_one_relies_on_it() -> None:
    assert list(GENOME.evolvable) == EVOLVED
    reasons = {address: block.reason for address, block in GENOME.blocks.items() if block.reason}
    assert reasons == {
        "base": "it holds an anchor (line 15)",
        "other": "it holds an alias (line 16)",
        "when": "it holds a date (line 17)",
        "text": "it holds a block of text (line 18)",
        "none": "it has no value",
        "epochs": "the task, the training or the machine decides it, by its name",
    }
    assert {block.kind for block in GENOME.blocks.values()} == {"values"}
    assert GENOME.blocks["model"].lines == (5, 10)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is empty"),
        ("# only a comment\n", "it is empty"),
        ("- 1\n", "its outermost level is no mapping"),
        ("a: [1\n", "line 2: expected ',' or ']'"),
        ("a: 1\na: 2\n", "line 2: the key a stands twice"),
        ("a: {b: 1, b: 2}\n", "line 1: the key b stands twice in one mapping"),
        ("{a: 1}\n", "line 1: its keys do not each begin a line"),
        ("  a: 1\n  b: 2\n", "line 1: its keys do not begin at the left margin"),
        ("a: 1\n---\nb: 2\n", "more than one document"),
        ("a: " + "[" * 40 + "]" * 40, "it nests too deeply"),
        ("a: \0", "a character that YAML does not allow"),
        ("a: " + "1" * 20_001, "longer than 20000 characters"),
    ],
)
def test_a_file_that_is_taken_though_its_values_cannot_be_told_apart(text: str, told: str) -> None:
    with pytest.raises(SeedError, match=r"bad\.yaml cannot be one of a seed model's files") as raised:
        Seed.parsed(text.encode(), Path("bad.yaml"))
    assert told in str(raised.value)


def test_a_file_in_another_encoding_whose_line_is_not_told() -> None:
    with pytest.raises(SeedError, match=r"bad.yml is not utf-8 text \(line 2\)"):
        Seed.parsed(b"a: 1\nb: \xff\n", Path("bad.yml"))


# --- what a rewrite does -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "code", "old", "new"),
    [
        ("lr", "lr: 0.2", "0.01 ", "0.2 "),
        ("lr", "# faster\nlr: 2e-3  # new", "0.01 ", "0.002 "),
        ("width", "width: 96", "64\nm", "96\nm"),
        ("steep", "steep: 1e-3", "3e-4", "1e-3"),
        ("steep", "steep: 0.001", "3e-4", '"0.001"'),
        ("model", "model: {widths: [9, 16], act: gelu, fast: true, depth: {low: 1, high: 16}}", None, None),
        (
            "model",
            "model:\n  widths: [9, 9, 9]\n  act: relu\n  fast: true\n  depth: {low: 2, high: 16}",
            "[8, 16]",
            "[9, 9, 9]",
        ),
        ("layers", "layers: [64, 32]", "128 ", "32 "),
        ("layers", "layers:\n- 64\n- 128\n- 256", "- 128 ", "- 128\n- 256 "),
    ],
)
def test_a_rewrite_that_takes_comments_quotes_or_layout_along(
    address: str, code: str, old: str | None, new: str | None
) -> None:
    child = rewritten(GENOME, address, code)
    expected = TEXT if old is None or new is None else TEXT.replace(old, new)
    if address == "model":
        expected = expected.replace("low: 1", "low: 2") if old else expected
        expected = expected if old else TEXT.replace("[8,", "[9,").replace("'relu'", "gelu")
    assert child.text == expected
    assert (
        rewritten(seed_of(TEXT, "\r\n", "\ufeff").genome, address, code).source
        == ("\ufeff" + expected.replace("\n", "\r\n")).encode()
    )


@pytest.mark.parametrize(
    ("address", "code", "told"),
    [
        ("lr", "lr: fast", "it must stay a number"),
        ("lr", "lr: [0.1]", "it must stay a number"),
        ("lr", "rate: 0.1", "the name must stay lr"),
        ("lr", "lr: !!float 1", "must be written without anchors"),
        ("lr", "lr: *base", "must be written without anchors"),
        ("lr", "lr = 0.1", "no mapping"),
        ("lr", "lr: [", "line 1"),
        ("model", "model: {x: &a 1, y: *a}", "must be written without anchors"),
        ("model", "model:\n  # ... the rest is unchanged\n  act: relu", "stands for what is left out"),
        ("layers", "layers: " + str(list(range(600))), "short"),
        ("base", "base: {x: 2}", "cannot be evolved: it holds an anchor"),
        ("nothing", "nothing: 1", "there is no block"),
    ],
)
def test_a_rewrite_that_is_taken_though_it_breaks_the_file(address: str, code: str, told: str) -> None:
    assert told in refused(address, code)


def test_a_record_of_a_run_that_is_taken_though_it_is_no_entry() -> None:
    for text in ("lr: *base", "lr: 1\nwidth: 2", "width: 2", "lr = 1", "lr: !!python/name:os.system"):
        with pytest.raises(SeedError, match="does not fit"):
            GENOME.seed.restored({"replaced": {"lr": text}, "helpers": {}, "imports": []})


def test_comments_or_layout_that_count_as_a_change() -> None:
    other = TEXT.replace("# Figures", "# Numbers").replace("[8, 16]", "[ 8,16 ]").replace("yes", "true")
    assert seed_of(other).genome.digest == GENOME.digest
    assert seed_of(TEXT.replace("0x10", "17")).genome.digest != GENOME.digest


def test_a_copy_made_by_hand_that_is_read_otherwise_than_it_says() -> None:
    text = TEXT.replace("0.01", "0.5").replace("- 64", "- 96").replace("'relu'", '"relu"')
    made = as_genome(GENOME.seed, seed_of(text, "\r\n"))
    assert made.text == TEXT.replace("0.01", "0.5").replace("- 64", "- 96")
    for old, new, told in (
        ("epochs: 3", "epochs: 4", "line 22: the block epochs may not be rewritten"),
        ("lr: 0.01", "lr: fast", "line 2: it must stay a number"),
        ("lr: 0.01", "rate: 0.01", "has other keys"),
        ("5: five", "5: six", "has other keys"),
    ):
        with pytest.raises(SeedError) as raised:
            as_genome(GENOME.seed, seed_of(TEXT.replace(old, new)))
        assert told in str(raised.value)


# --- what language models write and are offered ------------------------------------------------

NET = b"class Net:\n    lr = 1\n\n\nwidth = 3\n"
BOTH = joined({"net.py": Seed.parsed(NET, Path("net.py")), "conf.yaml": seed_of(TEXT)}).genome


@pytest.mark.parametrize(
    "reply",
    [
        "lr: 0.2",
        "```yaml\nlr: 0.2\n```",
        "Here it is:\n\n```yml\n# a larger step\nlr: 0.2  # was 0.01\n```\nThis helps: more speed.",
        "Sure.\n\nlr: 0.2\n\nThat should help.",
        "1. Raise it:\n\n   ```yaml\n   lr: 0.2\n   ```",
        "```\nlr: 0.1\n```\nor rather\n```\nlr: 0.2\n```",
        "<think>lr: 5?</think>\nlr: 0.2\n",
        "<<<<<<< SEARCH\nlr: 0.01\n=======\nlr: 0.2\n>>>>>>> REPLACE",
        "```diff\n-lr: 0.01\n+lr: 0.2\n```",
        "```yaml\n" + TEXT.replace("0.01", "0.2") + "```",
        "<<<<<<< SEARCH\nlr: 0.01   # the step\n=======\nlr: 0.2   # the step\n>>>>>>> REPLACE",
    ],
)
def test_a_reply_in_yaml_that_is_not_understood(reply: str) -> None:
    found = extract(reply, "stop", GENOME, "lr")
    assert not isinstance(found, Rejected), found
    assert rewritten(GENOME, "lr", found.code).text == TEXT.replace("0.01", "0.2")


@pytest.mark.parametrize("reply", ["", "I would raise lr.", "```python\nlr = 0.2\n```", "width: 3"])
def test_a_reply_without_the_entry_that_is_taken_for_one(reply: str) -> None:
    found = extract(reply, "stop", GENOME, "lr")
    assert isinstance(found, Rejected)
    assert found.stage == "extract"


@given(st.text("lr: 0.\n `yam#[]{}&*!-'\"<>|", max_size=60))
@settings(deadline=None, max_examples=60)
def test_a_reply_that_stops_a_run(text: str) -> None:
    for reply in (text, f"```yaml\n{text}\n```", f"lr: {text}"):
        found = extract(reply, "stop", GENOME, "lr")
        if not isinstance(found, Rejected):
            patch = parse_patch(GENOME, "lr", found.code)
            child = patch if isinstance(patch, Rejected) else apply(GENOME, patch)
            assert isinstance(child, Rejected) or isinstance(meaning(child)["lr"], (int, float))


@pytest.mark.parametrize(
    "reply",
    [
        "```python\n# net.py\nclass Net:\n    lr = 2\n```\n```yaml\n# conf.yaml\nlr: 0.2\nwidth: 96\n```",
        "net.py\n```python\nclass Net:\n    lr = 2\n```\nconf.yaml\n```yaml\nlr: 0.2\nwidth: 96\n```",
        "```python\nclass Net:\n    lr = 2\n```\n```yaml\nlr: 0.2\nwidth: 96\n```",
        "```python net.py\nclass Net:\n    lr = 2\n```\n```yaml conf.yaml\nlr: 0.2\nwidth: 96\n```",
    ],
)
def test_a_reply_of_both_languages_of_which_one_is_lost(reply: str) -> None:
    patch = read_blocks(reply, "stop", BOTH, BOTH.evolvable)
    assert not isinstance(patch, Rejected), patch
    assert patch.addresses == ("net.py::Net", "conf.yaml::lr", "conf.yaml::width")
    child = apply(BOTH, patch)
    assert isinstance(child, Genome)
    assert child.sources["net.py"] == NET.replace(b"lr = 1", b"lr = 2")
    assert (
        child.sources["conf.yaml"]
        == TEXT.replace("0.01", "0.2").replace('"width": 64', '"width": 96').encode()
    )


def target_of(address: str, **more: Any) -> Target:
    return Target(GENOME, address, **more)


@pytest.mark.parametrize("form", [Block(), Edits()])
@pytest.mark.parametrize("address", EVOLVED)
def test_an_answer_of_the_grammar_that_is_no_rewrite(form: Block | Edits, address: str) -> None:
    target = target_of(address)
    made = form.constraint(target)
    assert not isinstance(made, Rejected), made
    assert form.instructions(target) == "Answer with the complete new code and nothing else."
    source = YAML.source(GENOME.blocks[address].code)
    for site in sites_of(GENOME, address):
        for new in strings(site.part):
            text = source.text[: site.start] + new + source.text[site.end :]
            patch = form.decode(Reply(text, "stop", 1, 1, 0.0, ""), target)
            assert isinstance(patch, Patch), (text, patch)
            assert patch.code == text


def test_values_that_no_form_offers_otherwise() -> None:
    """Numbers, truth values, and numbers that are texts to YAML; epochs within a mapping stay."""
    offered = {
        GENOME.blocks[address].code[site.start : site.end]
        for address in EVOLVED
        for site in sites_of(GENOME, address)
    }
    assert offered == {"0.01", "3e-4", "64", "8", "16", "yes", "1", "0x10", "128"}
    nested = seed_of("train:\n  epochs: 3\n  seed: 4\n  lr: 1.0e-05\n  act: relu\n").genome
    (site,) = sites_of(nested, "train")
    assert nested.blocks["train"].code[site.start : site.end] == "1.0e-05"
    assert all(isinstance(yaml.safe_load(one), float) for one in strings(site.part))


def test_a_move_of_an_entry_that_is_no_yaml_any_more() -> None:
    block = GENOME.blocks["layers"]
    moves = moves_of(block.code, language=block.language)
    assert {move.kind for move in moves} >= {"width", "drop", "swap"}
    for move in moves:
        child = rewritten(GENOME, "layers", move.code)
        assert all(type(one) is int for one in meaning(child)["layers"])
    move = next(move for move in moves if move.text.startswith("width 128 becomes"))
    patch = Moves().decode(Reply(move.text, "stop", 1, 1, 0.0, ""), target_of("layers"))
    assert isinstance(patch, Patch)
    assert patch.code == move.code


def test_a_prompt_that_shows_yaml_as_python() -> None:
    context: Any = SimpleNamespace(genome=BOTH)
    near, *_, whole = file(context, Prompt("", "", "conf.yaml::lr"))
    assert "```yaml\n# Figures of the network.\n# ----- the code to change" in whole
    assert "The file net.py, which belongs to it:\n```python\nclass Net" in whole
    assert "python" not in near
    *_, whole = file(context, Prompt("", "", "net.py::Net"))
    assert "The file conf.yaml, which belongs to it:\n```yaml\n" in whole
    assert "fenced block of YAML" in Blocks().instructions(Target(BOTH, "", addresses=BOTH.evolvable))
    alone = Blocks().instructions(Target(BOTH.files["net.py"], "", addresses=("Net",)))
    assert "YAML" not in alone


def test_a_language_that_fences_call_otherwise() -> None:
    assert {one.language for one in BOTH.blocks.values()} == set(LANGUAGES) == {"python", "yaml"}

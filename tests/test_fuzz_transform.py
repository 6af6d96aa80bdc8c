"""Whatever comes in, only our own errors and values come out of blocks, reply, patch, diff and entry.

GE_FUZZ_EXAMPLES sets how many inputs each test draws (`make fuzz` draws many more than the suite).
"""

# ruff: noqa: E501, PT017, RUF005

from __future__ import annotations

import ast
import json
import os
import warnings
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reply_shapes import SHAPES
from transform_seed import FORWARD, SE_WIDE, TEXT, genome_of

from ge_engine.changes import blame, diff_genomes, to_json, unified, words
from ge_engine.entry import resolve_entry
from ge_engine.errors import SeedError
from ge_engine.genome import Genome, Seed, differing
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch, apply, parse_patch, transplant, undefined_names
from ge_engine.replies.extraction import Extraction, extract
from ge_engine.source.selection import select_addresses
from ge_engine.variant import as_genome

EXAMPLES = int(os.environ.get("GE_FUZZ_EXAMPLES", "30"))
fuzz = settings(
    deadline=None,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
GENOME = genome_of()
CRLF = genome_of(TEXT.replace("\n", "\r\n").replace("    ", "\t"))
ADDRESSES = st.sampled_from([*GENOME.evolvable, "Net", "None", "Net.", ".forward", "", "Net.forward.x"])

PIECES = st.sampled_from(
    ["(", ")", "[", "{", "}", ":", "\n", "    ", "\t", "\\", "'", '"', '"""', "#", "# ...", "...", "```", "```python\n", "~~~"]
    + ["def forward(self, x):\n", "class SE(nn.Module):\n", "class Net:\n", "import os\n", "from x import *\n", "return x\n"]
    + ["lambda: ", "async ", "await x", "yield x", "match x:\n", "case _:\n", "@property\n", "global x\n", "nonlocal x\n", ":= "]
    + ["\r", "\r\n", "\x0c", "\x00", "\u00a0", "\u2028", "\u201c", "\u201d", "\ufeff", "\u200b", "\ud800", "\U0001f600", "\x1a"]
    + ["<think>", "</think>", "<<<<<<< SEARCH\n", "=======\n", ">>>>>>> REPLACE\n", "@@ -1,2 +1,2 @@\n", "+", "-", "&lt;"]
    + ["{" * 80, "(" * 250, "-" * 300, "a." * 200, "x+" * 200, "9" * 5000, "0x", "1_", "1e999", "f'{x!r:{y}}'", "\\n", "SE_v2"]
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, sources: list[str]) -> str:
    """A text with some stretches cut out, doubled, moved, or replaced by pieces that hurt."""
    text = draw(st.sampled_from(sources))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        middle = draw(st.one_of(PIECES, st.text(max_size=8), st.just(text[start:end] * 2)))
        text = text[:start] + middle + text[end:]
    return text


CODES = [block.code for block in GENOME.blocks.values()] + [
    SE_WIDE,
    FORWARD,
    TEXT,
    "import math\nK = math.pi\n" + SE_WIDE,
]
REPLIES = [shape.text for shape in SHAPES.values() if len(shape.text) < 4000]


def exercise(genome: Genome, child: Genome, patch: Patch) -> None:
    """Everything that the engine does with a child."""
    compile(child.source, "child", "exec", dont_inherit=True)
    back = Genome.from_delta(child.seed, json.loads(json.dumps(child.delta())))
    assert (back.source, back.digest) == (child.source, child.digest)
    if differing(genome, child):
        again_cut = as_genome(genome.seed, Seed.from_bytes(child.source, Path("mine.py")))
        assert again_cut.digest == child.digest
    for address in differing(genome, child):
        assert isinstance(apply(genome, transplant(child, address)), (Genome, Rejected))
    changes = diff_genomes(genome, child)
    json.dumps(to_json(changes), allow_nan=False)
    for change in changes:
        assert all("\n" not in line for line in unified(change))
        assert "".join(t for k, t in words(change) if k != "delete").strip("\n") == change.after.strip("\n")
    blame([genome, child, genome])
    undefined_names(child, patch)
    for address in child.evolvable:
        again = parse_patch(child, address, child.blocks[address].code)
        assert isinstance(again, Patch), (address, again)
        same = apply(child, again)
        assert isinstance(same, Genome)
        assert same.source == child.source


@given(damaged(CODES), ADDRESSES, st.sampled_from([GENOME, CRLF]))
@fuzz
def test_no_code_breaks_patches_or_what_follows_them(code: str, address: str, genome: Genome) -> None:
    patch = parse_patch(genome, address, code)
    child = apply(genome, patch) if isinstance(patch, Patch) else patch
    if isinstance(child, Rejected):
        assert child.stage in ("compile", "contract")
        assert child.reason
        assert "\n" not in child.reason
    else:
        assert isinstance(patch, Patch)
        exercise(genome, child, patch)


@given(damaged(REPLIES), ADDRESSES, st.sampled_from(["stop", "length", "error"]))
@fuzz
def test_no_reply_breaks_extraction(text: str, address: str, finish: str) -> None:
    result = extract(text, finish, GENOME, address)
    assert extract(text, finish, GENOME, address) == result
    if isinstance(result, Extraction):
        assert result.code.strip()
        patch = parse_patch(GENOME, address, result.code)
        if isinstance(patch, Patch):
            assert isinstance(apply(GENOME, patch), (Genome, Rejected))
    else:
        assert "\n" not in result.reason


@given(
    st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=30).map("".join)),
    st.sampled_from(["stop", "length"]),
)
@fuzz
def test_no_text_at_all_breaks_extraction(text: str, finish: str) -> None:
    for address in ("SE", "Net.forward", "make_norm"):
        assert isinstance(extract(text, finish, GENOME, address), (Extraction, Rejected))


SEEDS = [TEXT, TEXT.replace("\n", "\r\n"), "\ufeff" + TEXT, "if x:\n    def f(a):\n        return a\n" + TEXT]


@given(st.one_of(damaged(SEEDS).map(lambda t: t.encode("utf-8", "surrogatepass")), st.binary(max_size=60)))
@fuzz
def test_no_bytes_break_a_seed(data: bytes) -> None:
    try:
        genome = Seed.from_bytes(data).genome
    except SeedError as error:
        assert error.message
        assert "\n" not in error.message
        return
    assert genome.source == data
    assert genome.digest
    for address, block in genome.blocks.items():
        assert block.code or block.reason
        patch = parse_patch(genome, address, block.code)
        child = apply(genome, patch) if isinstance(patch, Patch) else patch
        assert isinstance(child, Genome) or block.reason, (address, child)
        assert isinstance(child, Rejected) or child.source == data
    try:
        resolve_entry(genome, {"num_classes": 10})
        select_addresses(genome, ["*"])
    except SeedError as error:
        assert error.hint


@given(st.text(max_size=20), st.lists(st.text(max_size=10), max_size=3))
@fuzz
def test_no_pattern_and_no_entry_breaks_its_reader(entry: str, patterns: list[str]) -> None:
    for work in (lambda: resolve_entry(GENOME, {}, entry), lambda: select_addresses(GENOME, patterns)):
        try:
            assert work()
        except SeedError as error:
            assert error.message


DELTAS = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda x: st.lists(x) | st.dictionaries(st.text(max_size=3), x),
)


@given(
    st.fixed_dictionaries({"replaced": DELTAS, "helpers": DELTAS, "imports": DELTAS})
    | st.dictionaries(st.text(), DELTAS)
)
@fuzz
def test_no_record_breaks_from_delta(delta: dict[str, object]) -> None:
    try:
        genome = Genome.from_delta(GENOME.seed, delta)
    except SeedError:
        return
    assert isinstance(genome, Genome)


# --- lines that Python compiles and that libcst may refuse ----------------------------------------------

ATOMS = st.sampled_from(["x", "1", ".5", "'s'", "f'{x}'", "...", "None", "(lambda:0)", "lambda:0", "[x]", "{x:1}", "()", "(x,)", "b''", "0x1", "1j", "{*x}", "(yield)", "*x", "(y:=1)", "[i for i in x]"])  # fmt: skip
WORDS = st.sampled_from(["not", "if", "else", "and", "or", "in", "is", "is not", "not in", "lambda:", "await", "return", "yield", "yield from", "assert", "del", "raise", "from", "for i in", "while", "with", "as y", "global z", "import os", "pass", "async", "print"])  # fmt: skip
MARKS = st.sampled_from([" ", "", "  ", "\t", "\\\n", "+", "-", "~", "*", "**", "@", "=", "==", "<", ":=", ",", ";", ":", ".a", "(", ")", "[", "]", "->", "# c", "\x0c", "\n    ", "\n        "])  # fmt: skip
TEMPLATES = st.sampled_from([
    "return{0}", "x=1 if{0}else{1}", "assert{0},{1}", "not{0}", "x = {0} if {1}else{2}", "yield{0}", "del{0},{1}", "raise{0}from{1}",
    "for i in{0}:pass", "while{0}:pass", "with{0}as y:pass", "if{0}:pass\n    elif{1}:pass", "[i for i in{0}if{1}]", "x={0}and{1}or{2}",
    "x={0}in{1}", "x={0}is not{1}", "x={0}not in{1}", "lambda:{0}", "try:pass\n    except{0}:pass", "x=await{0}", "f({0},*{1})", "x[{0}:{1},{2}]",
    "@{0}\n    def g(a={1}):pass", "class C({0},m={1}):pass", "match{0}:\n        case 1 if{1}:pass", "x:{0}={1}", "print({0}for i in{1})",
    "async def g():\n        async with{0}as z:pass", "x=yield{0}", "yield from{0}", "import os;x={0};y={1}", "global x;x={0}", "x={0}\\\n    +{1}",
])  # fmt: skip
SPACES = st.sampled_from(["", "", " ", "\t", "\\\n", "(", "\x0c"])


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A line, or some, made of what Python allows to stand close together."""
    if draw(st.booleans()):
        pieces = draw(st.lists(st.one_of(ATOMS, WORDS, MARKS), min_size=1, max_size=8))
        return "".join(pieces)
    filled = [draw(SPACES) + draw(ATOMS) + draw(SPACES.filter(lambda s: s != "(")) for _ in range(3)]
    return draw(TEMPLATES).format(
        *(f + ")" if f.startswith("(") and f.count("(") > f.count(")") else f for f in filled)
    )


def compilable(line: str, keyword: str) -> str | None:
    """A function that holds the line, if Python compiles it."""
    code = f"{keyword} f(x):\n    y = 1\n    {line}\n    return y\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(code, "f", "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return None
    return code


@given(st.lists(lines(), min_size=8, max_size=8), st.sampled_from(["def", "async def"]))
@fuzz
def test_no_line_that_compiles_breaks_a_seed_or_a_patch(drawn: list[str], keyword: str) -> None:
    """In a seed it costs that block at most, in a reply that reply; what is supported comes back unchanged."""
    for code in filter(None, (compilable(line, keyword) for line in drawn)):
        method = "".join(f"    {line}\n" for line in code.replace("f(x)", "m(self, x)").splitlines())
        seed = f"{code}\n\nclass A:\n{method}    def good(self):\n        return 1\n"
        try:
            genome = Seed.from_bytes(seed.encode()).genome
        except SeedError:
            assert not compiles_alone(seed), code
            continue
        assert genome.source == seed.encode()
        assert "A.good" in genome.evolvable, code
        for address in genome.evolvable:
            block = genome.blocks[address].code
            for changed in (block, block.replace("y = 1", "y = 2")):
                patch = parse_patch(genome, address, changed)
                if isinstance(patch, Rejected):
                    assert "left out" in patch.reason, (address, patch)
                    continue
                child = apply(genome, patch)
                assert isinstance(child, Genome), (address, child)
                compile(child.source, "child", "exec", dont_inherit=True)
                assert child.source == genome.source or changed != block
        host = genome_of(
            "def f(x):\n    y = 3\n    return y\n" if keyword == "def" else "async def f(x):\n    return 3\n"
        )
        patch = parse_patch(host, "f", code)
        if isinstance(patch, Rejected):
            assert patch.stage in ("compile", "contract")
            continue
        child = apply(host, patch)
        assert isinstance(child, Rejected) or ast.dump(ast.parse(child.text)) == ast.dump(ast.parse(code)), (
            code
        )


def compiles_alone(text: str) -> bool:
    try:
        compile(text, "f", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True

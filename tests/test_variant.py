"""A changed copy of the seed file that is cut into another genome than it is, or refused without a reason."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from transform_seed import TEXT, changed_lines, genome_of, rewrite

from ge_engine.errors import SeedError
from ge_engine.genome import Genome, Seed, differing
from ge_engine.outcome import Rejected
from ge_engine.patch import apply, parse_patch
from ge_engine.variant import as_genome, variant_of

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SEED = genome_of().seed
GATE = "gate = F.relu(self.down(x.mean((2, 3))))"
SILU = "gate = F.silu(self.down(x.mean((2, 3))))"


def cut(text: str | bytes, seed: Seed = SEED) -> Genome:
    return as_genome(seed, Seed.from_bytes(text.encode() if isinstance(text, str) else text, Path("mine.py")))


def changed(*pairs: tuple[str, str]) -> str:
    text = TEXT
    for old, new in pairs:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def test_a_changed_line_that_becomes_another_file() -> None:
    text = changed((GATE, SILU))
    made = cut(text)
    assert made.text == text
    assert differing(SEED.genome, made) == ("SE.forward",)
    assert made.digest == rewrite(SEED.genome, "SE.forward", made.blocks["SE.forward"].code).digest


def test_what_a_copy_brings_along_that_is_lost() -> None:
    brought = "SCALE: float = 0.5\n\n\n# mine\ndef scaled(x):\n    return x * SCALE * math.pi\n\n\n"
    text = changed(
        ("import torch\n", "import math\nimport torch\n"),
        ("# --- SE ---\n", brought + "# --- SE ---\n"),
        (GATE, "gate = scaled(self.down(x.mean((2, 3))))"),
    )
    made = cut(text)
    lost = {line for line in text.split("\n") if line.strip()} - set(made.text.split("\n"))
    assert lost == set()
    assert made.imports == ("import math",)
    assert Genome.from_delta(SEED, made.delta()).source == made.source
    assert cut(made.source).digest == made.digest


def test_a_definition_at_the_end_that_stands_below_what_uses_it() -> None:
    text = changed((GATE, "gate = late(self.down(x.mean((2, 3))))")) + "\n\ndef late(x):\n    return x\n"
    made = cut(text)
    assert [name for name in made.blocks if name in ("late", "get_optimizer")] == ["late", "get_optimizer"]


def test_line_ends_marks_and_tabs_that_a_copy_takes_over() -> None:
    seed = genome_of(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode()).seed
    made = cut(changed((GATE, SILU)), seed)
    assert made.source == b"\xef\xbb\xbf" + changed((GATE, SILU)).replace("\n", "\r\n").encode()
    again = cut(made.source)
    assert changed_lines(SEED.genome, again) == [f"-        {GATE}", f"+        {SILU}"]


def test_comments_elsewhere_that_reach_the_child() -> None:
    made = cut(
        changed((GATE, SILU), ("# the end\n", "# another end\n"), ("EPS = 1e-5", "EPS = 1e-5  # small"))
    )
    assert made.text == changed((GATE, SILU))


def test_an_import_that_is_only_written_otherwise() -> None:
    made = cut(changed((GATE, SILU), ("import torch.nn as nn\n", "from torch import nn, Tensor\n")))
    assert made.text == changed((GATE, SILU)), "nothing uses Tensor"


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([], "mine.py is the same as the seed model"),
        ([("# the end\n", "")], "but for comments, docstrings and layout is the same"),
        ([('"""Gate."""', '"""Another gate."""')], "but for comments, docstrings and layout is the same"),
        ([("EPS = 1e-5", "EPS = float(1)")], r"line 7: `EPS = float\(1\)` stands outside of the blocks"),
        ([("EPS = 1e-5\n", "")], r"`EPS = 1e-05` \(line 7 of the seed model\) is not at its place"),
        ([("EPS = 1e-5\n", "EPS = 1e-5\nprint(EPS)\n")], r"line 8: `print\(EPS\)` stands outside"),
        ([("EPS = 1e-5\n", "A, B = 1, 2\nEPS = 1e-5\n")], "line 7: `A, B = "),
        (
            [("class SE(nn.Module):", "class Gate(nn.Module):")],
            r"`class SE\(nn.Module\):` \(line 15 of the seed model\)",
        ),
        (
            [("def forward(self, x):\n        gate", "def forward(self, x, y):\n        gate")],
            "line 15: .*keep its",
        ),
        ([("    def twice(x)", "    def thrice(x)")], "line 30: Net must keep its methods; missing: twice"),
        ([("import torch\n", "import torch\nfrom __future__ import annotations\n")], "line 4|__future__"),
        (
            [("import torch\n", "from __future__ import annotations\nimport torch\n")],
            "line 3: .* all of the file",
        ),
        ([("import torch\n", "import torch\nfrom math import *\n")], "line 4: .* all of the file"),
        ([("import torch\n", "import torch\nimport math as F\n")], "line 4: F already means something else"),
        ([("EPS = 1e-5\n", "EPS = 1e-5\ndef f(): pass\ndef f(): pass\n")], "line 8: f: .*defined 2 times"),
        ([("# --- SE ---\n", "if EPS:\n    SIZE = 3\n# --- SE ---\n")], "line 14: `if EPS:` stands outside"),
        ([(GATE, "gate = (")], "not valid Python: line 24"),
        ([(GATE, "# ... the rest stays")], "write the whole block"),
    ],
)
def test_a_copy_that_no_genome_is_and_no_sentence_says_why(pairs: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(SeedError) as caught:
        cut(changed(*pairs))
    assert re.search(words, caught.value.message), caught.value.message
    assert caught.value.hint


def test_a_block_that_may_not_be_rewritten_and_is() -> None:
    text = TEXT + "\n\nif EPS:\n\n    def late(x):\n        return x\n"
    seed = genome_of(text).seed
    with pytest.raises(SeedError, match=r"line 57: late may not be rewritten: it is defined conditionally"):
        cut(text.replace("        return x\n", "        return x + 1\n"), seed)


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_a_childs_own_text_that_is_cut_into_another_child(name: str, tmp_path: Path) -> None:
    seed, rng = Seed.load(EXAMPLES / name), random.Random(name)
    children = [child for _ in range(12) if (child := drawn(seed.genome, rng)).digest != seed.genome.digest]
    assert children
    for child in children:
        (tmp_path / "mine.py").write_bytes(child.source)
        assert variant_of(seed, tmp_path / "mine.py").digest == child.digest


def drawn(genome: Genome, rng: random.Random) -> Genome:
    """One to three of its blocks with another number, some of them with what they bring along."""
    for _ in range(rng.randint(1, 3)):
        address = rng.choice(genome.evolvable)
        code = genome.blocks[address].code
        numbers = list(re.finditer(r"(?<![\w.])\d+(?![\w.])", code))
        if not numbers:
            continue
        spot, name = rng.choice(numbers), f"brought_{rng.randint(0, 9)}"
        number = f"{name}({rng.randint(2, 99)})" if rng.random() < 0.5 else str(rng.randint(2, 99))
        code = code[: spot.start()] + number + code[spot.end() :]
        helper = f"def {name}(x):\n    return floor(x) + TOP_{name}\n"
        above = f"from math import floor\n\nTOP_{name} = 9\n\n\n{helper}\n\n"
        patch = parse_patch(genome, address, above + code)
        child = patch if isinstance(patch, Rejected) else apply(genome, patch)
        genome = genome if isinstance(child, Rejected) else child
    return genome

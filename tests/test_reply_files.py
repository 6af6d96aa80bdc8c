"""Replies about several files: which code is meant for which."""

from __future__ import annotations

from pathlib import Path

import pytest

from ge_engine.genome import Genome, Seed
from ge_engine.joint_genome import joined
from ge_engine.outcome import Rejected
from ge_engine.patch import apply
from ge_engine.replies.blocks import read_blocks
from ge_engine.replies.by_file import by_file

FILES = ("net.py", "heads/pooled.py", "heads/wide.py")
NET = "from .heads import pooled, wide\n\n\nclass Net:\n    def size(self):\n        return 3\n"
POOLED = "class Head:\n    def size(self):\n        return 1\n\n\nclass Pool:\n    step = 2\n"
WIDE = "class Head:\n    def size(self):\n        return 9\n"
NEW_NET = "class Net:\n    def size(self):\n        return 30\n"
NEW_POOL = "class Pool:\n    step = 4\n"
HEAD = "class Head:\n    def size(self):\n        return 5\n"


def model() -> Genome:
    texts = zip(FILES, (NET, POOLED, WIDE), strict=True)
    return joined({name: Seed.parsed(text.encode(), Path(name)) for name, text in texts}).genome


def fence(code: str, info: str = "python") -> str:
    return f"```{info}\n{code}```\n"


def changed(reply: str) -> dict[str, str]:
    """The files that a reply changes, with their texts."""
    genome = model()
    patch = read_blocks(reply, "stop", genome, genome.evolvable)
    assert not isinstance(patch, Rejected), patch
    child = apply(genome, patch)
    assert isinstance(child, Genome), child
    return {name: one.text for name, one in child.files.items() if one.text != genome.files[name].text}


@pytest.mark.parametrize(
    "reply",
    [
        fence(f"{NEW_NET}\n\n{NEW_POOL}"),
        f"First:\n{fence(NEW_NET)}\nThen:\n{fence(NEW_POOL)}",
        fence(f"# net.py\n{NEW_NET}\n\n# heads/pooled.py\n{NEW_POOL}"),
        f"**net.py**\n{fence(NEW_NET)}\n### `heads/pooled.py`\n\n{fence(NEW_POOL)}",
        fence(NEW_NET, "python net.py") + fence(NEW_POOL, 'python title="heads/pooled.py"'),
        f"File: net.py\n{fence(NEW_NET)}File: pooled.py\n{fence(NEW_POOL)}",
        fence(f"# ./net.py\n{NEW_NET}") + fence(f"# model/heads/pooled.py\n{NEW_POOL}"),
    ],
    ids=["one fence", "two fences", "comments", "headings", "beside the marks", "words", "paths"],
)
def test_a_change_of_two_files_of_which_one_is_lost(reply: str) -> None:
    found = changed(reply)
    assert found.keys() == {"net.py", "heads/pooled.py"}
    assert "return 30" in found["net.py"]
    assert "step = 4" in found["heads/pooled.py"]


@pytest.mark.parametrize("file", FILES[1:])
def test_a_block_of_two_files_that_is_rewritten_in_the_wrong_one(file: str) -> None:
    assert changed(fence(f"# {file}\n{HEAD}")).keys() == {file}
    both = fence(f"# {file}\n{HEAD}\n\n# net.py\n{NEW_NET}")
    assert changed(both).keys() == {file, "net.py"}


def test_a_block_of_two_files_where_nobody_says_which() -> None:
    genome = model()
    found = read_blocks(fence(HEAD), "stop", genome, genome.evolvable)
    assert isinstance(found, Rejected)
    assert found.stage == "extract"
    assert "heads/pooled.py and heads/wide.py have a block Head" in found.reason


def test_a_file_that_may_not_be_changed_and_is() -> None:
    genome = model()
    allowed = [address for address in genome.evolvable if address.startswith("net.py::")]
    found = read_blocks(fence(f"# heads/pooled.py\n{NEW_POOL}"), "stop", genome, allowed)
    assert isinstance(found, Rejected)


def test_one_broken_file_of_which_the_other_half_is_taken() -> None:
    genome = model()
    reply = fence(f"# net.py\n{NEW_NET}") + fence("# heads/pooled.py\nclass Pool:\n    step = = 4\n")
    found = read_blocks(reply, "stop", genome, genome.evolvable)
    assert isinstance(found, Rejected)
    assert "heads/pooled.py" in found.reason


def test_a_file_that_is_repeated_as_it_was_and_spoils_the_change() -> None:
    reply = fence(f"# net.py\n{NEW_NET}") + fence(f"# heads/wide.py\n{WIDE}")
    assert changed(reply).keys() == {"net.py"}


def test_prose_that_names_a_file_and_is_taken_for_a_mark() -> None:
    text = f"I rewrite net.py so that heads/pooled.py fits.\n{fence(NEW_NET)}"
    assert by_file(text, FILES) == {}
    assert changed(text).keys() == {"net.py"}

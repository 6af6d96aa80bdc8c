"""What the contracts show to a plugin: awkward seed models, individuals, candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from ge_engine.contracts import Candidate, Probe, Reply
from ge_engine.genome import Genome, Seed
from ge_engine.outcome import Rejected, Scored
from ge_engine.patch import AnyPatch, Patch, apply, parse_patch
from ge_engine.population import Direction, Individual

PLAIN = b'''"""A small network."""

import torch
from torch import nn


class Body(nn.Module):
    def __init__(self, in_channels, width):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel_size=3, padding=1)
        self.act = nn.ReLU()
        self.pool = nn.MaxPool2d(4)

    def forward(self, x):
        return self.pool(self.act(self.conv(x)))


class Net(nn.Module):
    def __init__(self, num_classes=10, in_channels=3):
        super().__init__()
        self.body = Body(in_channels, 8)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        return self.head(self.body(x).mean(dim=(2, 3)))


def get_optimizer(model, lr, weight_decay):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=weight_decay)
'''

AWKWARD = b'''import torch.nn as nn


class Note(nn.Module):
    """Use it:

    ```python
    Note()(x)
    ```
    """

    def __init__(self, in_channels=3, num_classes=10):
        super().__init__()
        self.label = "{x} %s %(y)d {{}} $name \\\\n \xe2\x80\x9c\xe2\x82\xac\xe2\x80\x9d"
        self.layer = nn.Linear(in_channels, num_classes)

    def forward(self, x):
        note = f"{x!r:>{3}} {{}} %s {0}" % x.shape[0]
        return self.layer(x.mean(dim=(2, 3))) + len(note) * 0
'''

SOURCES: Mapping[str, bytes] = {
    "plain": PLAIN,
    "braces, fences and non-ASCII": AWKWARD,
    "CRLF and tabs": PLAIN.replace(b"    ", b"\t").replace(b"\n", b"\r\n"),
    "one function": b"def loss(x):\n    return x * 2 + 1",
}
DIRECTIONS: Mapping[str, Direction] = {"accuracy": "max", "parameters": "min"}

NASTY_REPLIES: tuple[str, ...] = (
    "",
    " \n\t\n",
    "I cannot help with that.",
    "```python\n```",
    "```python\nclass Body(nn.Module):\n    def __init__(self",
    "</think>\n```python\nx = 1\n```",
    "class Net(nn.Module):\n    # ... rest unchanged\n",
    "def forward(self, x):\nreturn x",
    "+class A:\n+    pass",
    "<<<<<<< SEARCH\nnowhere\n=======\nx\n>>>>>>> REPLACE",
    "@@ -1,3 +1,3 @@\n-a\n+b",
    "0: x = 1\n99999: y = 2\n-1: z",
    "{'a': 1}",
    "x = " + "(" * 3000 + "1" + ")" * 3000,
    "x = " + "+".join(["1"] * 1000),
    "\x00\x0c\u00a0\ud7ff\ufeff\u202e",
    "import os\nos.system('true')\n",
    "return 1\nbreak",
    "`" * 500,
    "🙂" * 200,
    "\r\n\r\n",
)


@cache
def genome_of(name: str) -> Genome:
    """The unchanged genome of one of `SOURCES`."""
    return Seed.from_bytes(SOURCES[name]).genome


def changed(genome: Genome, old: str, new: str) -> tuple[Genome, Patch]:
    """`genome` with `old` replaced in the finest block that holds it, and the patch that does it.

    Raises:
        ValueError: no evolvable block holds `old`, or the result is no legal patch.
    """
    holding = [a for a in genome.evolvable if old in genome.blocks[a].code]
    if not holding:
        raise ValueError(f"no evolvable block holds {old!r}")
    address = min(holding, key=lambda a: len(genome.blocks[a].code))
    patch = parse_patch(genome, address, genome.blocks[address].code.replace(old, new))
    child = patch if isinstance(patch, Rejected) else apply(genome, patch)
    if isinstance(child, Rejected) or isinstance(patch, Rejected):
        raise ValueError(f"the edit of {old!r} is rejected: {child}")
    return child, patch


def individual(identity: str, genome: Genome, accuracy: float, parameters: float) -> Individual:
    """A scored individual of generation 0."""
    scores = {"accuracy": accuracy, "parameters": parameters}
    return Individual(identity, 0, 0, (SEED.id,) if identity != "seed" else (), (), genome, Scored(scores))


SEED = Individual("seed", 0, -1, (), (), genome_of("plain"), Scored({"accuracy": 0.8, "parameters": 394.0}))


def probe_of(genome: Genome, **facts: float) -> Probe:
    """What the worker reports of a genome that builds, runs and learns."""
    return Probe(
        output_shape=(2, 10),
        executed=frozenset(genome.evolvable),
        facts={"parameters": 394.0, "flops": 1e5, **facts},
        fingerprint=genome.digest[:24],
    )


def candidate(
    genome: Genome, parent: Genome, patch: AnyPatch, probe: Probe | None, seen: Callable[[str], str | None]
) -> Candidate:
    """A candidate that the checks may look at; `seen` answers for digests and for functions."""
    return Candidate(genome, parent, patch, probe_of(parent), probe, seen, seen)


def reply(text: str, finish: str = "stop") -> Reply:
    """A reply as a language model gives it."""
    assert finish in ("stop", "length", "error")
    return Reply(text, finish, 10, len(text) // 4, 0.1, "contract")  # type: ignore[arg-type]

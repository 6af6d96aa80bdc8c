"""What one reply costs: extract, parse, contract, splice, compile and digest.

    python -m benchmarks.bench_transform [SEED]

Prints the median over all blocks of the seed model, then the same on the largest `modeling_*.py` of the
installed transformers, there with the time of `compile()` for the whole file taken out and shown.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ge_engine.genome import Block, Genome, Seed
from ge_engine.joint_genome import joined
from ge_engine.outcome import Rejected
from ge_engine.patch import apply, parse_patch
from ge_engine.replies.extraction import extract

ROOT = Path(__file__).resolve().parent.parent
LIMIT_MS = 5.0
ALL_BUT = "    all but compile() of the whole file"
FILLER = b"""

class Filler%d(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, %d)

    def forward(self, x):
        return self.layer(x)
"""
ROUNDS = 5


def reply_for(block: Block, number: int) -> str:
    """A reply as a model would write it: a sentence, a fence, and the block with one change. Each
    `number` gives another change, so that nothing is remembered from the reply before."""
    lines = block.code.split("\n")
    at = max(i for i, line in enumerate(lines) if line.strip())
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    keyword = "return " if lines[at].lstrip().startswith("return ") else ""
    changed = f"{indent}width_factor = {number}\n" if keyword else ""
    code = "\n".join([*lines[:at], changed + lines[at]] if changed else lines)
    return f"Here is the block with a wider path.\n\n```python\n{code}\n```\n\nIt keeps every shape."


def transform(genome: Genome, address: str, text: str) -> str:
    """The whole way of one reply; returns the child's digest."""
    extraction = extract(text, "stop", *genome.at(address))
    if isinstance(extraction, Rejected):
        raise ValueError(f"{address}: {extraction.reason}")
    patch = parse_patch(genome, address, extraction.code)
    if isinstance(patch, Rejected):
        raise ValueError(f"{address}: {patch.reason}")
    child = apply(genome, patch)
    if isinstance(child, Rejected):
        raise ValueError(f"{address}: {child.reason}")
    return child.digest


def measure(genome: Genome, addresses: tuple[str, ...]) -> tuple[list[float], list[float]]:
    """Milliseconds of a reply for each address, and of `compile()` for the whole file right after it;
    of some rounds the fastest, which is what the work costs when nothing else interferes."""
    genome.digest  # noqa: B018
    costs, compiling = [], []
    for address in addresses:
        replies = [reply_for(genome.blocks[address], number) for number in range(ROUNDS + 1)]
        transform(genome, address, replies.pop())
        costs.append(min(milliseconds(transform, genome, address, text) for text in replies))
        text = genome.at(address)[0].text
        compiling.append(min(milliseconds(compile, text, "file", "exec") for _ in replies))
    return costs, compiling


def ten_of(seed: Seed) -> Genome:
    """A seed model of ten files, each with the content of `seed`."""
    return joined({f"part{at}.py": Seed.parsed(seed.source) for at in range(10)}).genome


def milliseconds(work: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    work(*arguments)
    return (time.perf_counter() - started) * 1000


def largest_file() -> Path | None:
    """The largest modelling file of the installed transformers, if it is installed."""
    import importlib.util

    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.origin is None:
        return None
    return max((Path(spec.origin).parent / "models").glob("*/modeling_*.py"), key=lambda p: p.stat().st_size)


def show(name: str, costs: list[float]) -> float:
    costs = sorted(costs)
    median = statistics.median(costs)
    p90 = costs[int(len(costs) * 0.9)]
    print(f"{name:<44} blocks {len(costs):>4}   median {median:6.2f} ms   p90 {p90:6.2f} ms")
    return median


def main() -> int:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "examples" / "exquisitenet_v2.py"
    seed = Seed.load(path)
    costs, _ = measure(seed.genome, seed.genome.evolvable)
    median = show(f"{path.name} ({len(seed.source.splitlines())} lines)", costs)
    longer = Seed.from_bytes(seed.source + b"".join(FILLER % (i, i + 1) for i in range(400)))
    costs, compiling = measure(longer.genome, seed.genome.evolvable)
    show(f"the same blocks in {len(longer.source.splitlines())} lines", costs)
    show(ALL_BUT, [cost - whole for cost, whole in zip(costs, compiling, strict=True)])
    costs, _ = measure(ten_of(seed), tuple(f"part0.py::{address}" for address in seed.genome.evolvable))
    show("the same blocks, one file of ten", costs)
    large = largest_file()
    if large is not None:
        started = time.perf_counter()
        big = Seed.load(large)
        print(f"{'load ' + large.name:<44} {time.perf_counter() - started:6.2f} s, once")
        addresses = big.genome.evolvable[:: max(1, len(big.genome.evolvable) // 60)]
        costs, compiling = measure(big.genome, addresses)
        show(f"{large.name} ({len(big.source.splitlines())} lines)", costs)
        show("    compile() of the whole file", compiling)
        show(ALL_BUT, [cost - whole for cost, whole in zip(costs, compiling, strict=True)])
    print(f"limit: median at most {LIMIT_MS} ms: {'held' if median <= LIMIT_MS else 'MISSED'}")
    return 0 if median <= LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())

"""Which blocks of a parent a run may rewrite: those that the parent itself runs."""

from __future__ import annotations

import doubles

from ge_engine.contracts import Probe
from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.patch import Patch, apply, parse_patch
from ge_engine.search.addresses import Addresses

SEED = doubles.seed().genome
RUNS = frozenset({"Small", "Small.forward", "Net", "get_optimizer"})


def without_small(number: int) -> Genome:
    """A child whose network no longer uses `Small`, and which brings a helper along."""
    code = SEED.blocks["Net"].code
    helper = f"def helper{number}(x):\n    return x\n\n\n"
    used = code.replace("Small()", f"nn.Linear(8, 16) if helper{number}(1) else None")
    patch = parse_patch(SEED, "Net", helper + used)
    assert isinstance(patch, Patch), patch
    child = apply(SEED, patch)
    assert not isinstance(child, Rejected)
    return child


def test_a_block_that_the_parent_no_longer_uses_and_that_is_offered() -> None:
    child, cross = without_small(1), without_small(2)
    probes = {
        SEED.digest: Probe(executed=RUNS),
        child.digest: Probe(executed=frozenset({"Net", "get_optimizer"})),
    }
    addresses = Addresses(SEED, doubles.config(), probes[SEED.digest], probes.get)
    assert addresses.of(SEED, [SEED]) == ("Small", "Small.forward", "Net", "get_optimizer")
    assert addresses.of(child, [child, SEED]) == ("Net", "get_optimizer"), "Small and the helper do not run"
    assert set(addresses.of(cross, [child, SEED])) == set(RUNS), "what runs in either parent"
    assert set(addresses.of(cross, [cross])) == {*RUNS, "helper2"}, "a probe that says nothing of it"
    every = Addresses(SEED, doubles.config(unused_blocks=True), probes[SEED.digest], probes.get)
    assert set(every.of(child, [child])) == set(child.evolvable)


def test_a_block_of_a_child_that_was_dead_in_the_seed_and_is_never_offered() -> None:
    child = without_small(1)
    probes = {child.digest: Probe(executed=frozenset({"Net", "Small"}))}
    addresses = Addresses(SEED, doubles.config(), Probe(executed=frozenset({"Net"})), probes.get)
    assert addresses.of(SEED, [SEED]) == ("Net",)
    assert addresses.of(child, [child]) == ("Small", "Net")
    chosen = Addresses(SEED, doubles.config(blocks=("Net",)), Probe(executed=RUNS), probes.get)
    assert chosen.of(child, [child]) == ("Net",)

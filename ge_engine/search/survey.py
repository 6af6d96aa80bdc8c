"""What each structural move of a block does to the network: built once, before a prompt offers it."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress

from ge_engine.blaming import blamed_moves
from ge_engine.config import RunConfig
from ge_engine.contracts import Evaluation, Probe, Size, SizedMove
from ge_engine.genome import Genome
from ge_engine.ledger import Ledger
from ge_engine.outcome import Rejected
from ge_engine.patch import apply, parse_patch
from ge_engine.registry import Registry, choose
from ge_engine.search.addresses import Addresses
from ge_engine.structure.change import MoveSource
from ge_engine.structure.moves import Move, module_classes, moves_of, together

Measure = Callable[[Sequence[Genome]], Future[tuple[Size | None, ...]]]

SINGLES = 80
"""Moves of a block that are built; of more, a sample of each kind."""
RESIZING = frozenset(("width", "depth", "drop"))
"""Kinds of which twice as many are built: those that change a network's size most."""
COMBINED = 64
"""Pairs and triples of moves that are built besides."""
END_SECONDS = 10.0
"""How long the end waits for what is found out ahead."""


class Surveys:
    """The moves of blocks, with their effect; `sources` add to the built-in ones. `measure` builds genomes in
    isolation; without it moves are listed without figures."""

    def __init__(self, measure: Measure | None, sources: tuple[MoveSource, ...] = ()) -> None:
        self._measure = measure
        self.sources = sources
        self._known: dict[tuple[str, str], Future[tuple[SizedMove, ...]]] = {}
        self._lock = threading.Lock()
        self._ahead: threading.Thread | None = None
        self._stopped = False

    def of(self, genome: Genome, address: str) -> tuple[SizedMove, ...]:
        """The moves of a block that build: single ones, and some of two or three at once. Equal genomes have
        equal ones. In any thread."""
        key, mine = (genome.digest, address), Future[tuple[SizedMove, ...]]()
        with self._lock:
            known = self._known.setdefault(key, mine)
        if known is mine:
            try:
                mine.set_result(self._survey(genome, address))
            except BaseException as error:
                with self._lock:
                    del self._known[key]
                mine.set_exception(error)
        return known.result()

    def begin(self, genome: Genome, addresses: Sequence[str]) -> None:
        """Find out, in a thread, what the moves of these blocks do: those with most moves first, methods
        not, whose class has theirs. What fails fails again where it is asked for."""
        self._ahead = threading.Thread(
            target=self._begin, args=(genome, addresses), name="ge-surveys", daemon=True
        )
        self._ahead.start()

    @property
    def measures(self) -> bool:
        """Whether moves are built."""
        return self._measure is not None

    def stop(self) -> None:
        """Begin no further block ahead."""
        self._stopped = True

    def end(self) -> None:
        """Wait for the block in work, which the end of the evaluation ends, at most `END_SECONDS`."""
        self.stop()
        if self._ahead is not None:
            self._ahead.join(END_SECONDS)

    def _begin(self, genome: Genome, addresses: Sequence[str]) -> None:
        counts: dict[str, int] = {}
        for address in addresses:
            if genome.blocks[address].kind != "method" and not self._stopped:
                with suppress(Exception):
                    counts[address] = len(self._moves(genome, address))
        for address in sorted(counts, key=counts.__getitem__, reverse=True):
            if self._stopped:
                return
            with suppress(Exception):
                self.of(genome, address)

    def _moves(self, genome: Genome, address: str) -> tuple[Move, ...]:
        block = genome.blocks[address]
        return moves_of(block.code, module_classes(*genome.at(address)), self.sources, block.language)

    def _survey(self, genome: Genome, address: str) -> tuple[SizedMove, ...]:
        rng = random.Random(f"{genome.digest}/{address}/survey")
        moves = sampled(self._moves(genome, address), rng, SINGLES)
        singles = [(move,) for move in moves]
        if self._measure is None:
            return tuple(_sized(together_, math.nan, math.nan) for together_ in singles)
        measured = self._measure([genome])
        sizes = self._sizes(self._children(genome, address, singles))
        (whole,) = measured.result()
        if whole is None:
            return ()
        working = [
            made for made, size in zip(singles, sizes, strict=True) if size is not None and size != whole
        ]
        several = combined([move for (move,) in working], rng)
        more = self._sizes(self._children(genome, address, several)) if several else []
        found = [*zip(singles, sizes, strict=True), *zip(several, more, strict=True)]
        return tuple(
            _sized(made, size.parameters / max(1, whole.parameters), size.flops / max(1.0, whole.flops))
            for made, size in found
            if size is not None and size != whole
        )

    def _children(
        self, genome: Genome, address: str, made: Sequence[tuple[Move, ...]]
    ) -> list[Genome | None]:
        return [_child(genome, address, moves) for moves in made]

    def _sizes(self, wanted: Sequence[Genome | None]) -> list[Size | None]:
        """The size of each; None for one that is none or does not run."""
        assert self._measure is not None
        there = [one for one in wanted if one is not None]
        sizes = iter(self._measure(there).result())
        return [None if one is None else next(sizes) for one in wanted]


def surveys_of(config: RunConfig, registry: Registry, evaluation: Evaluation) -> Surveys:
    measure = evaluation.sizes if evaluation.measures_sizes else None
    return Surveys(measure, blamed_moves(registry, config.moves))


@contextmanager
def surveyed_meanwhile(
    surveys: Surveys, config: RunConfig, registry: Registry, ledger: Ledger, probe: Probe
) -> Iterator[None]:
    """Within, blocks of the seed model are surveyed, in a new run of which an operator offers moves: nothing
    but the seed model trains then. Raises SeedError where no block may be rewritten."""
    offered = any(choose(registry.operators, name, "operator").offers_moves for name in config.operators)
    if offered and surveys.measures and not ledger.seed_is_scored:
        seed = ledger.seed.genome
        surveys.begin(seed, Addresses(seed, config, probe, ledger.probe).of(seed, [seed]))
    try:
        yield
    finally:
        surveys.stop()


def sampled(moves: Sequence[Move], rng: random.Random, most: int) -> list[Move]:
    """At most `most` moves, of each kind as many as of the others where there are, of those that resize twice
    as many, in a fixed order."""
    if len(moves) <= most:
        return list(moves)
    kinds: dict[str, list[Move]] = {}
    for move in rng.sample(list(moves), len(moves)):
        kinds.setdefault(move.kind, []).append(move)
    chosen: set[str] = set()
    while len(chosen) < most:
        for kind, waiting in kinds.items():
            for _ in range(2 if kind in RESIZING else 1):
                if waiting and len(chosen) < most:
                    chosen.add(waiting.pop().text)
    return [move for move in moves if move.text in chosen]


def combined(moves: Sequence[Move], rng: random.Random) -> list[tuple[Move, ...]]:
    """Pairs and triples of moves that each work alone, different ones, at most `COMBINED`."""
    if len(moves) < 2:
        return []
    drawn = (
        tuple(sorted(rng.sample(list(moves), min(len(moves), rng.choice((2, 2, 3)))), key=lambda m: m.text))
        for _ in range(COMBINED)
    )
    return list({tuple(move.text for move in made): made for made in drawn}.values())


def _child(genome: Genome, address: str, moves: Sequence[Move]) -> Genome | None:
    block = genome.blocks[address]
    code = together(block.code, moves, block.language)
    patch = parse_patch(genome, address, code) if code is not None else None
    if patch is None or isinstance(patch, Rejected):
        return None
    child = apply(genome, patch)
    return None if isinstance(child, Rejected) else child


def _sized(moves: Sequence[Move], parameters: float, flops: float) -> SizedMove:
    kinds = tuple(sorted({move.kind for move in moves}))
    return SizedMove("\n".join(sorted(move.text for move in moves)), kinds, parameters, flops)

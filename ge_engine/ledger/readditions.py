"""Lines that a child adds again: an ancestor had them, and another had deleted them since.

A search that edits code spends much of itself on these. A line counts by its text without layout and only
where it says something: with two names or numbers, keywords apart, and no comment alone. The lineage is that
of first parents; a child adds what neither of its parents has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from keyword import kwlist

from ge_engine.genome import Genome
from ge_engine.ledger.checked import reading
from ge_engine.ledger.history import History
from ge_engine.ledger.records import from_json
from ge_engine.population import SEED_ID, Individual

Lines = frozenset[str]
ALL = ""
"""The name of all operators together."""
WORDS = 2
"""Names and numbers of a line that counts, at least."""
SEGMENTS = 8192
_WORD = re.compile(r"\d[\w.]*|\w+")
_KEYWORDS = frozenset(kwlist)


@dataclass(frozen=True, slots=True)
class Readditions:
    """Of the `added` lines of some children, `again` had been deleted by an ancestor."""

    added: int = 0
    again: int = 0

    @property
    def rate(self) -> float:
        """0 where nothing was added."""
        return self.again / self.added if self.added else 0.0


@dataclass(frozen=True, slots=True)
class _Stand:
    """The lines of an individual as what it has more and less than the seed model, and those that its
    ancestors had and it has not: all of them few, however long the file is."""

    more: Lines = frozenset()
    less: Lines = frozenset()
    gone: Lines = frozenset()


def readditions(history: History) -> dict[str, Readditions]:
    """By operator, the most used first, after all together (`ALL`); a child of several counts for each."""
    counts: dict[str, Readditions] = {ALL: Readditions()}
    for operators, added, again in _children(history):
        for name in (ALL, *dict.fromkeys(operators)):
            old = counts.get(name, Readditions())
            counts[name] = Readditions(old.added + added, old.again + again)
    return dict(sorted(counts.items(), key=lambda one: (one[0] != ALL, -one[1].added, one[0])))


def telling_lines(text: str) -> Lines:
    """The lines of a text that count."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return frozenset(line for line in lines if not line.startswith("#") and _words(line) >= WORDS)


def _words(line: str) -> int:
    return sum(word not in _KEYWORDS for word in _WORD.findall(line))


def _children(history: History) -> Iterator[tuple[list[str], int, int]]:
    """(operators, lines added, of them again) of each child whose code and first parent are known."""
    seed = _lines(history.seed.genome)
    stands = {SEED_ID: _Stand()}
    parents = _all_parents(history)
    for one in history.individuals():
        if not isinstance(one, Individual) or one.id == SEED_ID:
            continue
        known = [stands[parent] for parent in one.parents if parent in stands]
        if not known:
            continue
        lines, first = _lines(one.genome), known[0]
        added = lines.difference(*(_of(seed, parent) for parent in known))
        yield [step.operator for step in one.steps], len(added), len(added & first.gone)
        if one.id in parents:
            gone = (first.gone | (_of(seed, first) - lines)) - lines
            stands[one.id] = _Stand(lines - seed, seed - lines, gone)


def _of(seed: Lines, stand: _Stand) -> Lines:
    return (seed | stand.more) - stand.less


def _all_parents(history: History) -> frozenset[str]:
    """Everybody who has a child: of the others nothing need be held."""
    with reading("parents"):
        rows = history.query("SELECT DISTINCT parents FROM individuals")
        return frozenset(parent for (parents,) in rows for parent in from_json(parents))


def _lines(genome: Genome) -> Lines:
    files = genome.files.values()
    return frozenset[str]().union(*(_of_segment(one.text) for file in files for one in file.segments))


_of_segment = lru_cache(maxsize=SEGMENTS)(telling_lines)

"""What earlier generations tried on a block, and what came of it: read from the run database, told without a
candidate's own words."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import zip_longest

from ge_engine.changes import diff_genomes, unified
from ge_engine.contracts import Attempt
from ge_engine.genome import Genome
from ge_engine.ledger.history import History
from ge_engine.ledger.records import from_json, steps_from_json
from ge_engine.noise import beyond_noise, error_of_difference, improves
from ge_engine.outcome import STAGES, Failed, Outcome, Rejected, Scored, fate_of
from ge_engine.population import Child, Step
from ge_engine.search.repair_feedback import UNTOLD, error_text, reason_text, words_of
from ge_engine.source.addresses import owner_of

EACH = 4
"""Attempts that are told: of those better than their parent, of others with a score, of those without."""
HELD = 1024
"""Scores and attempts that are held, so that a generation does not read those of the one before anew."""
MOST_LINES, LONGEST_LINE = 80, 200
LONGEST_REASON = 200
SILENT = frozenset(stage.name for stage in STAGES if not stage.judges) | {"duplicate", "unchanged"}
"""Stages that say nothing of what was tried."""
KINDS = frozenset(
    ("timeout", "crash", "out of memory", "not finite", "diverged", "too slow", "stopped", "error")
)
_ENDED = """
SELECT * FROM (
  SELECT i.id, i.generation, i.slot, i.parents, i.steps
  FROM merged m CROSS JOIN individuals i ON i.id = m.id WHERE m.generation >= ?1 AND m.generation < ?2
  UNION ALL
  SELECT i.id, i.generation, i.slot, i.parents, i.steps
  FROM individuals i WHERE i.generation >= ?1 AND i.generation < ?2 AND i.stage IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM merged m WHERE m.id = i.id)
) WHERE slot >= 0 ORDER BY generation, slot
"""
_Ranked = tuple[float, int, int, str, str]
"""What it is sorted by, the best first: a figure, generation and slot; child and first parent."""


@dataclass(slots=True)
class _Tried:
    """Children of one block that may be told, of each kind the first `EACH`: better than their parent, others
    with a score, and those without one."""

    better: list[_Ranked] = field(default_factory=list)
    others: list[_Ranked] = field(default_factory=list)
    unscored: list[_Ranked] = field(default_factory=list)


class Attempts:
    """Those that had a verdict when a generation began. Of the run database only what came since the one
    before is read, and changes from children alone that are told; held are those that may be told."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._next = 0
        self._tried: defaultdict[str, _Tried] = defaultdict(_Tried)
        self._told: dict[str, tuple[Attempt, ...]] = {}
        self._outcome = lru_cache(HELD)(history.outcome)
        self._attempt = lru_cache(HELD)(self._read)

    def begin(self, generation: int) -> None:
        """Take in what ended before `generation`, which is not before that of an earlier call."""
        self._told.clear()
        for number in range(self._next, generation):
            for row in self._history.query(_ENDED, number, number + 1):
                self._take(*row)
        self._next = generation

    def _take(self, identity: str, number: int, slot: int, parents: str, steps: str) -> None:
        made, known = steps_from_json(steps), from_json(parents)
        if not made or not known:
            return
        addresses = {address for step in made for address in step.addresses}
        for name in {owner_of(address) for address in addresses}:
            self._rank(self._tried[name], identity, known[0], number, slot)

    def on(self, address: str) -> tuple[Attempt, ...]:
        """Of a block, its class and that class's methods, in turn: one better than its parent, another
        with a score, a failure. The largest change of a figure comes first, and the latest failure."""
        name = owner_of(address)
        if name not in self._told:
            self._told[name] = tuple(self._attempts(self._tried[name])) if name in self._tried else ()
        return self._told[name]

    def _rank(self, tried: _Tried, identity: str, parent: str, number: int, slot: int) -> None:
        after, before = self._outcome(identity), self._outcome(parent)
        if not isinstance(after, Scored):
            if _tells(after):
                _insert(tried.unscored, (0.0, -number, -slot, identity, parent))
        elif isinstance(before, Scored):
            gained = improves(after, [before], self._history.directions)
            change = _change(before.objectives, after.objectives)
            _insert(tried.better if gained else tried.others, (-change, number, slot, identity, parent))

    def _attempts(self, tried: _Tried) -> Iterator[Attempt]:
        groups = [
            [self._attempt(child, of) for *_, child, of in group]
            for group in (tried.better, tried.others, tried.unscored)
        ]
        for together in zip_longest(*groups):
            yield from filter(None, together)

    def _read(self, identity: str, parent: str) -> Attempt:
        child, before = self._history.individual(identity), self._history.individual(parent)
        assert child is not None
        genomes = before.genome if before else None, child.genome
        return Attempt(
            id=identity,
            intent=child.steps[-1].intent,
            address=child.steps[-1].address,
            change=changed_lines(*genomes),
            before=self._figures(parent),
            after=self._figures(identity),
            failure="" if child.scored else _failure(child, self._history.config.repair_texts),
            within=self._within(parent, identity),
            steps=tuple(map(_told, child.steps)) if len(child.steps) > 1 else (),
        )

    def _within(self, parent: str, identity: str) -> frozenset[str]:
        """The objectives in which chance explains the difference of the two."""
        before, after = self._outcome(parent), self._outcome(identity)
        if not isinstance(before, Scored) or not isinstance(after, Scored):
            return frozenset()
        signs = beyond_noise(after, before, self._history.directions)
        return frozenset(
            name for name, sign in signs.items() if not sign and error_of_difference(after, before, name)
        )

    def _figures(self, identity: str) -> Mapping[str, float]:
        score = self._outcome(identity)
        return score.objectives if isinstance(score, Scored) else {}


def _insert(ranked: list[_Ranked], one: _Ranked) -> None:
    insort(ranked, one)
    del ranked[EACH:]


def _told(step: Step) -> str:
    return f"{step.intent} of {step.address}"


def _change(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """The largest change of a figure, as a share of the larger of the two."""
    pairs = [(before[name], after[name]) for name in before if name in after]
    return max((abs(new - old) / (max(abs(old), abs(new)) or 1.0) for old, new in pairs), default=0.0)


def changed_lines(before: Genome | None, after: Genome | None) -> str:
    """The lines that differ, with "-" and "+", the first `MOST_LINES` and none that is longer than
    `LONGEST_LINE`; "" where one of the two genomes is not there."""
    if before is None or after is None:
        return ""
    lines = [
        line
        for change in diff_genomes(before, after)
        for line in unified(change, 0)[2:]
        if not line.startswith("@@")
    ]
    shown = [line for line in lines if len(line) <= LONGEST_LINE][:MOST_LINES]
    more = len(lines) - len(shown)
    return "\n".join([*shown, *([f"... {more} more lines"] if more else [])])


def _tells(outcome: Outcome | None) -> bool:
    """Whether a child without a score says something of what was tried."""
    match outcome:
        case Rejected(stage=stage):
            return stage not in SILENT
        case Failed(fault=fault):
            return fault == "candidate"
        case _:
            return False


def _failure(child: Child, texts: bool) -> str:
    """Why the child has no score, in words that may be told."""
    outcome: Outcome | None = child.outcome
    words = words_of(child.genome.text) if child.genome else frozenset[str]()
    match outcome:
        case Rejected(stage=stage):
            reason = outcome.reason if texts else reason_text(outcome, words)
            text = f"{fate_of(outcome)} ({stage}): {reason}"
        case Failed(kind=kind):
            reason = outcome.reason if texts else error_text(outcome.reason, words)
            text = f"{fate_of(outcome)} ({kind if kind in KINDS else 'error'}): {reason}"
        case _:
            return ""
    text = " ".join(text.removesuffix(f": {UNTOLD}").split())
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON].rstrip()} ..."

"""What earlier generations tried on a block, and what came of it: read from the run database, told without a
candidate's own words."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, zip_longest

from ge_engine.changes import diff_genomes, unified
from ge_engine.contracts import Attempt
from ge_engine.genome import Genome
from ge_engine.ledger.history import History
from ge_engine.ledger.records import from_json, steps_from_json
from ge_engine.noise import beyond_noise, error_of_difference, improves
from ge_engine.outcome import STAGES, Failed, Outcome, Rejected, Scored, fate_of
from ge_engine.population import SEED_ID, Child, Step
from ge_engine.search.repair_feedback import UNTOLD, error_text, reason_text, words_of
from ge_engine.source.addresses import owner_of

EACH = 4
"""Attempts that are told: of those better than their parent, of others with a score, of those without."""
MOST_LINES, LONGEST_LINE = 80, 200
LONGEST_REASON = 200
SILENT = frozenset(stage.name for stage in STAGES if not stage.judges) | {"duplicate", "unchanged"}
"""Stages that say nothing of what was tried."""
KINDS = frozenset(
    ("timeout", "crash", "out of memory", "not finite", "diverged", "too slow", "stopped", "error")
)
_ENDED = """
SELECT * FROM (
  SELECT i.id, i.generation, i.slot, i.parents, i.steps, i.stage, i.digest
  FROM merged m CROSS JOIN individuals i ON i.id = m.id WHERE m.generation >= ?1 AND m.generation < ?2
  UNION ALL
  SELECT i.id, i.generation, i.slot, i.parents, i.steps, i.stage, i.digest
  FROM individuals i WHERE i.generation >= ?1 AND i.generation < ?2 AND i.stage IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM merged m WHERE m.id = i.id)
) WHERE slot >= 0 ORDER BY generation, slot
"""
_Ranked = tuple[float, int, int, str, str]
"""What it is sorted by, the best first: a figure, generation and slot; child and first parent."""


@dataclass(slots=True)
class _Tried:
    """Children of one block: better than their parent, others with a score, and those without one."""

    better: list[_Ranked] = field(default_factory=list)
    others: list[_Ranked] = field(default_factory=list)
    unscored: list[_Ranked] = field(default_factory=list)


class Attempts:
    """Those that had a verdict when a generation began. Of the run database only what came since the one
    before is read, and changes from children alone that are told."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._next = 0
        self._scores: dict[str, Scored] = {}
        self._tried: defaultdict[str, _Tried] = defaultdict(_Tried)
        self._known: dict[str, tuple[Attempt, ...]] = {}
        self._told: dict[str, tuple[Attempt, ...]] = {}

    def begin(self, generation: int) -> None:
        """Take in what ended before `generation`, which is not before that of an earlier call."""
        rows = self._history.query(_ENDED, self._next, generation)
        self._next = generation
        self._told.clear()
        self._score(SEED_ID, self._history.seed.genome.digest)
        for identity, *_, stage, digest in rows:
            if stage is None:
                self._score(identity, digest)
        for identity, number, slot, parents, steps, *_ in rows:
            made, known = steps_from_json(steps), from_json(parents)
            if made and known:
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

    def _score(self, identity: str, digest: str) -> None:
        outcome = self._history.score(digest)
        if isinstance(outcome, Scored):
            self._scores[identity] = outcome

    def _rank(self, tried: _Tried, identity: str, parent: str, number: int, slot: int) -> None:
        after, before = self._scores.get(identity), self._scores.get(parent)
        if after is None:
            insort(tried.unscored, (0.0, -number, -slot, identity, parent))
        elif before is not None:
            gained = improves(after, [before], self._history.directions)
            change = _change(before.objectives, after.objectives)
            insort(tried.better if gained else tried.others, (-change, number, slot, identity, parent))

    def _attempts(self, tried: _Tried) -> Iterator[Attempt]:
        groups = [
            list(islice((one for *_, child, of in group for one in self._attempt(child, of)), EACH))
            for group in (tried.better, tried.others, tried.unscored)
        ]
        for together in zip_longest(*groups):
            yield from filter(None, together)

    def _attempt(self, identity: str, parent: str) -> tuple[Attempt, ...]:
        """As `_read`, once per child: its verdict stands."""
        if identity not in self._known:
            self._known[identity] = tuple(self._read(identity, parent))
        return self._known[identity]

    def _read(self, identity: str, parent: str) -> Iterator[Attempt]:
        """Nothing for a failure that says nothing of what was tried."""
        child, before = self._history.individual(identity), self._history.individual(parent)
        assert child is not None
        scored = identity in self._scores
        failure = "" if scored else _failure(child, self._history.config.repair_texts)
        if scored or failure:
            genomes = before.genome if before else None, child.genome
            yield Attempt(
                id=identity,
                intent=child.steps[-1].intent,
                address=child.steps[-1].address,
                change=changed_lines(*genomes),
                before=self._figures(parent),
                after=self._figures(identity),
                failure=failure,
                within=self._within(parent, identity),
                steps=tuple(map(_told, child.steps)) if len(child.steps) > 1 else (),
            )

    def _within(self, parent: str, identity: str) -> frozenset[str]:
        """The objectives in which chance explains the difference of the two."""
        before, after = self._scores.get(parent), self._scores.get(identity)
        if before is None or after is None:
            return frozenset()
        signs = beyond_noise(after, before, self._history.directions)
        return frozenset(
            name for name, sign in signs.items() if not sign and error_of_difference(after, before, name)
        )

    def _figures(self, identity: str) -> Mapping[str, float]:
        score = self._scores.get(identity)
        return score.objectives if score else {}


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


def _failure(child: Child, texts: bool) -> str:
    """Why the child has no score, in words that may be told; "" where that says nothing of the code."""
    outcome: Outcome | None = child.outcome
    words = words_of(child.genome.text) if child.genome else frozenset[str]()
    match outcome:
        case Rejected(stage=stage) if stage not in SILENT:
            reason = outcome.reason if texts else reason_text(outcome, words)
            text = f"{fate_of(outcome)} ({stage}): {reason}"
        case Failed(fault="candidate", kind=kind):
            reason = outcome.reason if texts else error_text(outcome.reason, words)
            text = f"{fate_of(outcome)} ({kind if kind in KINDS else 'error'}): {reason}"
        case _:
            return ""
    text = " ".join(text.removesuffix(f": {UNTOLD}").split())
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON].rstrip()} ..."

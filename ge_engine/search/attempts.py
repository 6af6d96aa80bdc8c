"""What earlier generations tried on a block, and what came of it: read from the ledger, told without a
candidate's own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice, zip_longest
from weakref import WeakKeyDictionary

from ge_engine.changes import diff_genomes, unified
from ge_engine.contracts import Attempt
from ge_engine.genome import Genome
from ge_engine.ledger.history import History
from ge_engine.ledger.records import from_json, steps_from_json
from ge_engine.noise import improves
from ge_engine.outcome import STAGES, Failed, Outcome, Rejected, Scored, fate_of
from ge_engine.population import Child
from ge_engine.search.repair_feedback import UNTOLD, error_text, reason_text, words_of

EACH = 4
"""Attempts that are told: of those better than their parent, of others with a score, of those without."""
MOST_LINES, LONGEST_LINE = 12, 200
LONGEST_REASON = 200
SILENT = frozenset(stage.name for stage in STAGES if not stage.judges) | {"duplicate", "unchanged"}
"""Stages that say nothing of what was tried."""
KINDS = frozenset(
    ("timeout", "crash", "out of memory", "not finite", "diverged", "too slow", "stopped", "error")
)
_KNOWN: WeakKeyDictionary[History, dict[str, tuple[Attempt, ...]]] = WeakKeyDictionary()
"""Attempts that earlier generations of an open run were told."""
_BRED = """
SELECT i.id, i.parents, i.steps FROM individuals i LEFT JOIN merged m ON m.id = i.id
WHERE i.slot >= 0 AND (m.generation < ?1 OR (i.stage IS NOT NULL AND i.generation < ?1))
ORDER BY i.generation, i.slot
"""


class Attempts:
    """Those that had a verdict when `generation` began: the ledger is read once, and changes from children
    alone that are told."""

    def __init__(self, history: History, generation: int) -> None:
        self._history = history
        self._generation = generation
        self._told: dict[str, tuple[Attempt, ...]] = {}
        self._known = _KNOWN.setdefault(history, {})

    def on(self, address: str) -> tuple[Attempt, ...]:
        """Of a block, its class and that class's methods, in turn: one better than its parent, another
        with a score, a failure. The largest change of a figure comes first, and the latest failure."""
        name = address.partition(".")[0]
        if name not in self._told:
            self._told[name] = tuple(self._attempts(self._bred.get(name, ())))
        return self._told[name]

    @cached_property
    def _scores(self) -> Mapping[str, Scored]:
        return {identity: score for identity, _, score in self._history.scored()}

    @cached_property
    def _bred(self) -> Mapping[str, list[tuple[str, str]]]:
        """(child, first parent) by the top-level blocks that the last operator rewrote."""
        found: dict[str, list[tuple[str, str]]] = {}
        for identity, parents, steps in self._history.query(_BRED, self._generation):
            made, known = steps_from_json(steps), from_json(parents)
            if made and known:
                for name in {address.partition(".")[0] for address in made[-1].addresses}:
                    found.setdefault(name, []).append((identity, known[0]))
        return found

    def _attempts(self, bred: Sequence[tuple[str, str]]) -> Iterator[Attempt]:
        scores, directions = self._scores, self._history.directions
        scored = [pair for pair in bred if pair[0] in scores and pair[1] in scores]
        scored.sort(key=lambda pair: -_change(scores[pair[1]].objectives, scores[pair[0]].objectives))
        better = [(one, of) for one, of in scored if improves(scores[one], [scores[of]], directions)]
        gained = set(better)
        others = [pair for pair in scored if pair not in gained]
        unscored = [pair for pair in reversed(bred) if pair[0] not in scores]
        groups = [
            list(islice((found for pair in group for found in self._attempt(*pair)), EACH))
            for group in (better, others, unscored)
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
            )

    def _figures(self, identity: str) -> Mapping[str, float]:
        score = self._scores.get(identity)
        return score.objectives if score else {}


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

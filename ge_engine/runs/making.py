"""With what a run and its individuals were made, in sentences."""

from __future__ import annotations

from itertools import pairwise

from ge_engine.ledger.history import History
from ge_engine.ledger.parts import changed, first_of, part_of, parts_of, scored_in


def parts_in_words(history: History) -> list[str]:
    """A sentence for each part of a run that has several."""
    parts = parts_of(history)
    told = [f"begun with {parts[0].making}"] if len(parts) > 1 else []
    for before, after in pairwise(parts):
        first = first_of(history, after) or "here, before the next child,"
        told.append(f"from {first} on with {changed(before, after)}")
    return told


def making_of(history: History, identity: str) -> list[str]:
    """With what an individual was generated and scored, in a run that has several parts."""
    bred, scored = part_of(history, identity), scored_in(history, identity)
    if bred is None or len(parts_of(history)) < 2:
        return []
    told = [f"made with {bred.making}"]
    return told + ([f"scored with {changed(bred, scored)}"] if scored not in (None, bred) else [])

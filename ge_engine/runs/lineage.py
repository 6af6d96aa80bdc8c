"""Who brought in each line of an individual, traced through its ancestors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ge_engine.changes import blame
from ge_engine.errors import LedgerError
from ge_engine.ledger.checked import HINT
from ge_engine.ledger.history import History
from ge_engine.population import SEED_ID, Child
from ge_engine.runs.references import find_individual, require_genome


@dataclass(frozen=True, slots=True)
class Origin:
    """A line that the seed model does not have, the individual that brought it in, and that one's first
    parent. Lines count from 1, in `file` where the seed model has several."""

    line: int
    text: str
    individual: Child
    parent: Child
    file: str = ""


def origins(history: History, one: Child) -> list[Origin]:
    """The origin of every line of `one` that differs from the seed model, in the order of the lines.

    Raises:
        LedgerError: a parent is no older than its child. ConfigError: `one` has no code.
    """
    family = _family(history, one)
    place = {member.id: at for at, member in enumerate(family)}
    lines = blame(
        [require_genome(member) for member in family],
        [[place[name] for name in member.parents] for member in family],
    )
    return [
        Origin(x.line, x.text, family[x.index], family[place[family[x.index].parents[0]]], x.file)
        for x in lines
    ]


def ancestors(history: History, identity: str) -> Iterator[tuple[int, Child]]:
    """An individual and its ancestors, first parents first, each once, with how far up they are.

    Raises:
        ConfigError: the run has no such individual.
    """
    waiting, met = [(identity, 0)], set[str]()
    while waiting:
        name, depth = waiting.pop(0)
        if name not in met:
            met.add(name)
            one = find_individual(history, name)
            yield depth, one
            waiting[:0] = [(parent, depth + 1) for parent in one.parents]


def _family(history: History, one: Child) -> list[Child]:
    """`one` and all its ancestors, the seed model first, parents before children. Raises LedgerError where a
    parent is no older than its child."""
    found = {one.id: one}
    waiting = list(one.parents)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = find_individual(history, name)
            waiting += found[name].parents
    family = sorted(found.values(), key=lambda member: (member.id != SEED_ID, member.generation, member.slot))
    before: set[str] = set()
    for member in family:
        if (member.id == SEED_ID) == bool(member.parents) or not before.issuperset(member.parents):
            raise LedgerError(
                f"The run database holds a damaged individual {member.id!r}: its parents.", HINT
            )
        before.add(member.id)
    return family

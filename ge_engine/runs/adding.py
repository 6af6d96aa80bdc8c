"""Children that somebody has made by hand, added to a run: at once, or through whoever works on it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ge_engine import loop
from ge_engine.errors import ConfigError
from ge_engine.events import Observe
from ge_engine.ledger.hand_made import HandMade, hand_made, leave, place_of
from ge_engine.ledger.history import History
from ge_engine.ledger.memo import Memo
from ge_engine.ledger.runlock import RunBusy, worker_on
from ge_engine.outcome import storable
from ge_engine.population import Child
from ge_engine.registry import Registry
from ge_engine.runs.references import log_of
from ge_engine.search.rescoring import OwnSettings
from ge_engine.variant import variant_of

POLL_SECONDS = 1.0


def add(
    folder: Path,
    files: Sequence[Path],
    note: str,
    wait: bool,
    registry: Registry,
    observe: Observe,
    own: OwnSettings,
    *,
    allow_changes: bool = False,
) -> list[Child | None]:
    """As `Run.add`."""
    made, known = _read(folder, files, note)
    fresh = [one for digest, one in made.items() if digest not in known]
    while not _ended(children := _children(folder, made, known)):
        if worker := worker_on(folder):
            if fresh:
                known |= _numbered(fresh, leave(folder, fresh))
                observe("left", {"reason": worker})
                fresh = []
            elif not wait:
                break
            else:
                time.sleep(POLL_SECONDS)
            continue
        with suppress(RunBusy):
            numbers = loop.add(folder, fresh, registry, observe, own, allow_changes=allow_changes)
            return _children(folder, made, known | _numbered(fresh, numbers))
    return children


def _read(folder: Path, files: Sequence[Path], note: str) -> tuple[dict[str, HandMade], dict[str, int]]:
    """The variants by digest, in their order; the numbers of those that wait in the run database already."""
    made: dict[str, HandMade] = {}
    with Memo(folder) as memo:
        waiting = {one.genome.digest: number for number, one in hand_made(memo, None).items()}
        for file in files:
            genome = variant_of(memo.seed, file)
            twin = "another of the files" if genome.digest in made else ""
            twin = twin or memo.seen(genome.digest, memo.next_generation() + 1) or ""
            if twin:
                raise ConfigError(
                    f"{file} is the same as {twin}.", f"`{log_of(folder)}` tells what became of that."
                )
            made[genome.digest] = HandMade(genome, storable(note))
    return made, {digest: waiting[digest] for digest in made if digest in waiting}


def _numbered(made: Sequence[HandMade], numbers: Sequence[int]) -> dict[str, int]:
    return {one.genome.digest: number for one, number in zip(made, numbers, strict=True)}


def _children(folder: Path, made: dict[str, HandMade], known: dict[str, int]) -> list[Child | None]:
    """What became of each; None of one that has no number yet."""
    with History(folder) as history:
        places = [place_of(history, known[digest]) if digest in known else None for digest in made]
        return [history.individual(place) if place else None for place in places]


def _ended(children: Sequence[Child | None]) -> bool:
    return all(one is not None and one.outcome is not None for one in children)

"""Verifies a whole run database: its pages, digests, lineage, scores, survivors and fronts."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

from ge_engine.errors import GeError
from ge_engine.ledger.history import History
from ge_engine.ledger.score_key import ScoreKey
from ge_engine.noise import front_of
from ge_engine.outcome import Scored
from ge_engine.pareto import losses
from ge_engine.population import SEED_ID, Child, Individual, Migration, individual_id
from ge_engine.search.islands import island_of, travels, turn_of, turns


def check(folder: Path) -> list[str]:
    """What is wrong in the run, a sentence each with the place; empty when all is well.

    Fronts are recomputed from the scores by their definition, digests from the recorded genomes.

    Raises:
        LedgerError: no run there, or a run database that cannot be opened.
    """
    with History(folder) as history:
        try:
            return [*_pages(history), *_Audit(history).problems()]
        except GeError as error:
            return [error.message]


def _pages(history: History) -> Iterator[str]:
    for (verdict,) in history.query("PRAGMA integrity_check"):
        if verdict != "ok":
            yield f"database: {verdict}"


@dataclass(frozen=True, slots=True)
class _Point:
    """What stands on a front: an individual's scores."""

    id: str
    objectives: Mapping[str, float]
    errors: Mapping[str, float] = field(default_factory=dict)
    scored: bool = True


class _Audit:
    """Holds what each individual's checks look up: ids and scores, no genomes."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._records = history.generations()
        self._finished = {one.generation for one in self._records if one.finished}
        self._merged = {i: g for g, i in history.query("SELECT generation, id FROM merged")}
        self._islands, self._screen = history.config.islands, history.config.screen
        self._ties = history.ties
        placed = "SELECT generation, slot FROM hand_made WHERE generation IS NOT NULL"
        self._by_hand = {individual_id(*place): place[0] for place in history.query(placed)}
        made = Counter(self._by_hand.values())
        self._drawn = {one.generation: one.size - made[one.generation] for one in self._records}
        self._drawn_before = dict(zip(self._drawn, accumulate(self._drawn.values(), initial=0), strict=False))
        counts = (made[number] for number in self._drawn)
        self._made_before = dict(zip(self._drawn, accumulate(counts, initial=0), strict=False))
        self._born: dict[str, tuple[int, int]] = {}
        self._island: dict[str, int] = {}
        self._moves: dict[int, list[Migration]] = defaultdict(list)
        for generation, move in history.moves():
            self._moves[generation].append(move)
        self._populations = lru_cache(maxsize=2)(self._sets)
        self._points: dict[str, _Point] = {}

    def problems(self) -> Iterator[str]:
        for one in self._history.individuals():
            yield from (f"{one.id}: {problem}" for problem in self._individual(one))
            self._born[one.id] = one.generation, one.slot
            self._island[one.id] = one.island
            if isinstance(one.outcome, Scored) and not list(self._score(one.outcome.objectives)):
                self._points[one.id] = _Point(one.id, one.outcome.objectives)
        yield from self._calls()
        yield from self._generations()
        yield from self._strays()

    def _individual(self, one: Child) -> Iterator[str]:
        if one.id != SEED_ID and one.id != individual_id(one.generation, one.slot):
            yield f"its id does not fit child {one.slot} of generation {one.generation}"
        if one.id != SEED_ID and one.island != self._island_of(one):
            yield f"it is on island {one.island} and belongs on island {self._island_of(one)}"
        for parent in one.parents:
            if parent not in self._born:
                yield f"its parent {parent} is not in the run database"
            elif parent != SEED_ID and self._born[parent][0] >= one.generation:
                yield f"its parent {parent} is no older than itself"
            elif one.id not in self._by_hand and parent not in self._alive(one.generation - 1, one.island):
                yield f"its parent {parent} was not alive on island {one.island} when it was generated"
        if isinstance(one, Individual):
            yield from self._genome(one)
        if isinstance(one.outcome, Scored):
            yield from self._score(one.outcome.objectives)
        elif one.outcome is None and one.id in self._merged:
            yield "it passed the checks and has no outcome, though it was merged into the population"

    def _island_of(self, one: Child) -> int:
        number, screen = one.generation, self._screen
        before = turns(self._drawn_before.get(number, 0), screen) + self._made_before.get(number, 0)
        return island_of(turn_of(one.slot, self._drawn.get(number, 0), screen), before, self._islands)

    def _genome(self, one: Individual) -> Iterator[str]:
        ((stored,),) = self._history.query("SELECT digest FROM individuals WHERE id = ?", one.id)
        if stored != one.genome.digest:
            yield f"its genome has digest {one.genome.digest[:12]}, recorded is {stored[:12]}"
        if one.id == SEED_ID and stored != self._history.seed.genome.digest:
            yield "it is not the seed model that the run was made from"

    def _score(self, objectives: Mapping[str, float]) -> Iterator[str]:
        for name in self._history.config.objective_names:
            value = objectives.get(name)
            if not isinstance(value, (int, float)) or not math.isfinite(value):
                yield f"its objective {name} is {value}"

    def _calls(self) -> Iterator[str]:
        sql = "SELECT key, individual, generation FROM calls ORDER BY generation, individual, key"
        for key, individual, generation in self._history.query(sql):
            if key.rpartition("/")[0] != individual:
                yield f"call {key}: it is recorded for {individual}"
            if generation in self._finished and self._born.get(individual, (generation, 0))[0] != generation:
                yield f"call {key}: generation {generation} is not that of {individual}"
            elif generation in self._finished and individual not in self._born:
                yield f"call {key}: there is no individual {individual}"

    def _generations(self) -> Iterator[str]:
        for number, record in enumerate(self._records):
            if record.generation != number:
                yield f"generation {number}: it is missing"
                return
            if not record.finished:
                continue
            problems = [
                *self._survivors(number, record.survivors),
                *self._migration(number),
                *self._front(number),
                *self._groups(number),
            ]
            yield from (f"generation {number}: {problem}" for problem in problems)

    def _alive(self, generation: int, island: int) -> frozenset[str]:
        """The population of an island after a generation; the seed model alone before the first."""
        if generation < 0:
            return frozenset((SEED_ID,))
        islands = self._populations(generation)
        return islands[island] if island < len(islands) else frozenset()

    def _sets(self, generation: int) -> list[frozenset[str]]:
        return [frozenset(ids) for ids in self._history.populations(generation)]

    def _survivors(self, number: int, now: tuple[str, ...]) -> Iterator[str]:
        came = {(move.target, move.id) for move in self._moves[number]}
        for island in range(self._islands):
            before = self._alive(number - 1, island)
            for identity in sorted(self._alive(number, island)):
                if identity not in self._points:
                    yield f"its survivor {identity} has no score"
                    continue
                born = self._merged.get(identity) == number and self._island[identity] == island
                if not born and identity not in before and (island, identity) not in came:
                    yield f"its elite {identity} was not alive before"
        if self._history.config.schedule == "generational":
            newborn = {identity for identity, (generation, _) in self._born.items() if generation == number}
            for identity in sorted(newborn & set(self._points) - set(now) - {SEED_ID}):
                yield f"{identity} was scored and is not among its survivors"

    def _migration(self, number: int) -> Iterator[str]:
        """Elites travel when it is time, along the ring, from where they lived to where they then live."""
        config, moves = self._history.config, self._moves[number]
        bred = self._history.slots_before(number), self._history.slots_before(number + 1)
        if moves and not travels(config, *bred):
            yield "elites migrated, though it was not time"
        for move in moves:
            if move.target != (move.source + 1) % config.islands:
                yield f"{move.id} migrated from island {move.source} to {move.target}, not along the ring"
            elif move.id not in self._alive(number, move.source):
                yield f"{move.id} migrated from island {move.source}, where it did not live"
            elif move.id not in self._alive(number, move.target):
                yield f"{move.id} migrated to island {move.target} and did not arrive"

    def _front(self, number: int) -> Iterator[str]:
        merged = {i for i, generation in self._merged.items() if generation <= number} | {SEED_ID}
        known = {i: p for i, p in self._points.items() if i in merged}
        recorded = set(self._history.fronts(number))
        for identity in sorted(recorded - set(known)):
            yield f"{identity} is on its front and has no score"
        directions = self._history.directions
        points = {i: losses(point.objectives, directions) for i, point in known.items()}
        best = {points[point.id] for point in front_of(known.values(), directions, self._ties)}
        told = {points[identity] for identity in recorded & set(points)}
        for identity, mine in points.items():
            if mine not in best and identity in recorded:
                yield f"{identity} is on its front and is dominated"
            if mine in best and mine not in told:
                yield f"{identity} is not dominated and not on its front"

    def _groups(self, number: int) -> Iterator[str]:
        """Of those that compete for one training, at most one has it."""
        drawn = self._drawn[number] if self._screen > 1 else 0
        groups: dict[int, list[str]] = defaultdict(list)
        sql = (
            "SELECT id, slot FROM individuals WHERE generation = ? AND slot BETWEEN 0 AND ? AND stage IS NULL"
        )
        for identity, slot in self._history.query(sql, number, drawn - 1):
            groups[turn_of(slot, drawn, self._screen)].append(identity)
        for ids in groups.values():
            if len(ids) > 1:
                yield f"{' and '.join(sorted(ids))} were to be trained, of a group for one training"

    def _strays(self) -> Iterator[str]:
        for identity, generation in self._by_hand.items():
            if generation in self._finished and identity not in self._born:
                yield f"{identity}: it was made by hand, and there is no such individual"
        sql = (
            "SELECT s.digest, s.split, s.seed, s.epochs FROM scores s LEFT JOIN individuals i"
            " ON i.digest = s.digest AND i.stage IS NULL WHERE i.id IS NULL"
        )
        unfinished = any(not record.finished for record in self._records)
        for digest, *key in [] if unfinished else self._history.query(sql):
            yield f"score of {digest[:12]} ({ScoreKey(*key)}): no individual that passed the checks has it"

"""What a run's database tells: read access, also while another process writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ge_engine.contracts import Probe, Reply
from ge_engine.errors import LedgerError
from ge_engine.ledger.checked import checked
from ge_engine.ledger.content import content_of
from ge_engine.ledger.foreign import HINT
from ge_engine.ledger.records import (
    Call,
    outcome_from_json,
    probe_from_json,
    require_objectives,
)
from ge_engine.ledger.rows import call_from_row, child_from_row, outcome_from_row
from ge_engine.ledger.run_facts import RunFacts
from ge_engine.ledger.score_key import TEST, VALIDATION, ScoreKey
from ge_engine.noise import NO_TIES, Ties
from ge_engine.outcome import Outcome, Rejected, Scored
from ge_engine.population import Child, Migration

OF_KEY = "s.split = :split AND s.seed = :seed AND s.epochs = :epochs"
INDIVIDUAL = f"""
SELECT i.id, i.generation, i.slot, i.parents, i.steps, i.delta, i.stage, i.reason, i.island, s.outcome
FROM individuals i LEFT JOIN scores s ON s.digest = i.digest AND {OF_KEY} AND i.stage IS NULL
"""
OUTCOME = f"""
SELECT i.id, i.stage, i.reason, s.outcome
FROM individuals i LEFT JOIN scores s ON s.digest = i.digest AND {OF_KEY} AND i.stage IS NULL
WHERE i.id = :id
"""
SCORES = f"""
SELECT i.id, i.generation, s.outcome FROM individuals i JOIN scores s ON s.digest = i.digest
WHERE {OF_KEY} AND i.stage IS NULL ORDER BY i.generation, i.slot
"""


@dataclass(frozen=True, slots=True)
class GenerationRecord:
    """`size` children were planned; `survivors` is empty until the generation is finished."""

    generation: int
    size: int
    finished: bool
    survivors: tuple[str, ...]
    at: float


class History(RunFacts):
    """What a run was and did. Raises LedgerError where the run database is damaged."""

    # --- the run --------------------------------------------------------------------------------

    @property
    def ties(self) -> Ties:
        """What counts as equal where the run selects; nothing ties while the seed model has no score."""
        seed = self.score(self.seed.genome.digest)
        return Ties.around(seed, self.config.ties) if isinstance(seed, Scored) else NO_TIES

    @property
    def ties_matter(self) -> bool:
        """Whether any objective of the seed model has an error, without which nothing ties whatever is asked
        for: run databases of schema 4 and older hold none."""
        seed = self.score(self.seed.genome.digest)
        return isinstance(seed, Scored) and bool(seed.errors)

    @property
    def seed_is_scored(self) -> bool:
        """Whether the seed model was found to work, without which nothing else begins."""
        return isinstance(self.score(self.seed.genome.digest), Scored)

    def tokens(self) -> tuple[int, int]:
        """Prompt and completion tokens of all calls."""
        sql = "SELECT coalesce(sum({}_tokens), 0) FROM calls"
        return self._number(sql.format("prompt")), self._number(sql.format("completion"))

    def evaluations(self) -> int:
        """Trainings scored on the validation split, that of the seed model included."""
        return self._number(f"SELECT count(*) FROM scores s WHERE {OF_KEY}", **_named(VALIDATION))

    def rejections(self) -> dict[str, int]:
        """How many children each stage rejected, a constraint on scores among them, most first."""
        sql = "SELECT stage, count(*) FROM individuals WHERE stage IS NOT NULL GROUP BY stage"
        counts = Counter[str](dict(self.query(sql)))
        counts.update(one.stage for _, _, one in self._outcomes(VALIDATION) if isinstance(one, Rejected))
        return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))

    # --- individuals ----------------------------------------------------------------------------

    def individual(self, identity: str) -> Child | None:
        """One child with its genome and its outcome on the validation split."""
        row = self._one(INDIVIDUAL + "WHERE i.id = :id", id=identity, **_named(VALIDATION))
        return child_from_row(row, self.seed, self.config.objective_names) if row else None

    def outcome(self, identity: str) -> Outcome | None:
        """As `individual` has it, without reading the genome."""
        row = self._one(OUTCOME, id=identity, **_named(VALIDATION))
        return outcome_from_row(row, self.config.objective_names) if row else None

    def count(self) -> int:
        """How many children there are, the seed model included."""
        return self._number("SELECT count(*) FROM individuals")

    def digest_of(self, identity: str) -> str:
        """The digest of an individual's genome; "" where it has none or is not there."""
        row = self._one("SELECT digest FROM individuals WHERE id = :id", id=identity)
        return str(row["digest"] or "") if row else ""

    def identities(self) -> tuple[str, ...]:
        """Ids of all individuals, seed model first, then in the order of generation and number."""
        return self._ids("SELECT id FROM individuals ORDER BY generation, slot")

    def individuals(self, generation: int | None = None) -> Iterator[Child]:
        """All, or those of one generation, seed model first, then in the order of generation and number."""
        numbers, objectives = [generation], self.config.objective_names
        if generation is None:
            numbers = [row[0] for row in self._rows("SELECT DISTINCT generation FROM individuals ORDER BY 1")]
        sql = INDIVIDUAL + "WHERE i.generation = :generation ORDER BY i.slot"
        for number in numbers:
            for row in self._rows(sql, generation=number, **_named(VALIDATION)):
                yield child_from_row(row, self.seed, objectives)

    def scored(self) -> Iterator[tuple[str, int, Scored]]:
        """(id, generation, score) of every scored individual, in order, without its genome."""
        for identity, generation, outcome in self._outcomes(VALIDATION):
            if isinstance(outcome, Scored):
                yield identity, generation, outcome

    def outcomes(self) -> Iterator[tuple[str, int, Outcome]]:
        """(id, generation, outcome) of every individual that passed the checks and has one, in order, without
        its genome."""
        return self._outcomes(VALIDATION)

    def scored_points(self) -> Iterator[tuple[str, int, Mapping[str, float]]]:
        """(id, generation, objectives) of every scored individual, in order, without its genome."""
        return ((identity, generation, one.objectives) for identity, generation, one in self.scored())

    def test_outcomes(self) -> dict[str, Outcome]:
        """Outcomes on the test split by individual: the finalists and the seed model, once the run has
        ended."""
        return {identity: outcome for identity, _, outcome in self._outcomes(TEST)}

    def _outcomes(self, key: ScoreKey) -> Iterator[tuple[str, int, Outcome]]:
        objectives = self.config.objective_names
        for row in self.stream(SCORES, **_named(key)):
            outcome = outcome_from_json(row["outcome"])
            if isinstance(outcome, Scored):
                require_objectives(row["id"], outcome, objectives)
            yield row["id"], row["generation"], outcome

    # --- calls, scores and probes -----------------------------------------------------------------

    def calls(self, individual: str) -> list[Call]:
        """Prompts and replies of one individual, in the order they were asked."""
        return list(self._calls("individual = :individual ORDER BY length(key), key", individual=individual))

    def _calls(self, where: str, **values: object) -> Iterator[Call]:
        return map(call_from_row, self._rows(f"SELECT * FROM calls WHERE {where}", **values))

    def replies(self) -> Iterator[tuple[str, Reply]]:
        for call in self._calls("true ORDER BY generation, individual, key"):
            yield call.key, call.reply

    def score(self, digest: str, key: ScoreKey = VALIDATION) -> Outcome | None:
        sql = f"SELECT s.outcome FROM scores s WHERE s.digest = :digest AND {OF_KEY}"
        row = self._one(sql, digest=digest, **_named(key))
        return outcome_from_json(row["outcome"]) if row else None

    def promoted(self, digest: str, key: ScoreKey) -> bool | None:
        """Whether a training by rungs went on after the rung of `key`; None: that was not decided there."""
        sql = f"SELECT s.promoted FROM scores s WHERE s.digest = :digest AND {OF_KEY}"
        row = self._one(sql, digest=digest, **_named(key))
        return None if row is None or row["promoted"] is None else bool(row["promoted"])

    def scores(self, key: ScoreKey = VALIDATION) -> dict[str, Outcome]:
        """All outcomes of one key by digest, in the order in which they came."""
        sql = f"SELECT s.digest, s.outcome FROM scores s WHERE {OF_KEY} ORDER BY s.at, s.digest"
        rows = self._rows(sql, **_named(key))
        return {row["digest"]: outcome_from_json(row["outcome"]) for row in rows}

    def probe(self, digest: str) -> Probe | None:
        row = self._one("SELECT probe FROM probes WHERE digest = :digest", digest=digest)
        return probe_from_json(row["probe"]) if row else None

    # --- generations ----------------------------------------------------------------------------

    def generations(self) -> list[GenerationRecord]:
        sql = "SELECT generation, size, finished, at FROM generations ORDER BY generation"
        records = [
            GenerationRecord(number, size, bool(finished), self.survivors(number), at)
            for number, size, finished, at in self._rows(sql)
        ]
        return [checked(record, "generation") for record in records]

    def next_generation(self) -> int:
        """The first generation that is not finished."""
        return self._number("SELECT coalesce(max(generation) + 1, 0) FROM generations WHERE finished = 1")

    def slots_before(self, generation: int) -> int:
        """Children of the generations before this one."""
        sql = "SELECT coalesce(sum(size), 0) FROM generations WHERE generation < :generation"
        return self._number(sql, generation=generation)

    def size(self, generation: int) -> int:
        """Children of a generation that was begun."""
        sql = "SELECT size FROM generations WHERE generation = :generation"
        return self._number(sql, generation=generation)

    def merged(self, generation: int) -> tuple[str, ...]:
        """Children that entered, or failed to enter, the population when this generation was finished."""
        sql = "SELECT id FROM merged WHERE generation = :generation ORDER BY rank"
        return self._ids(sql, generation=generation)

    def merged_before(self, generation: int, most: int) -> tuple[str, ...]:
        """The latest children, at most so many, that had entered, or failed to enter, the population when a
        generation began."""
        sql = (
            "SELECT id FROM merged WHERE generation < :generation ORDER BY generation DESC, rank DESC"
            " LIMIT :most"
        )
        return self._ids(sql, generation=generation, most=most)

    def unmerged(self, generation: int) -> tuple[str, ...]:
        """Children that passed the checks before this generation that had not entered the population when it
        began."""
        sql = (
            "SELECT id FROM individuals WHERE stage IS NULL AND slot >= 0 AND generation < :before"
            " AND id NOT IN (SELECT id FROM merged WHERE generation < :before) ORDER BY generation, slot"
        )
        return self._ids(sql, before=generation)

    def fronts(self, generation: int) -> tuple[str, ...]:
        """Ids of the Pareto front of everything scored until the end of a generation."""
        sql = "SELECT id FROM fronts WHERE generation = :generation ORDER BY rank"
        return self._ids(sql, generation=generation)

    def survivors(self, generation: int) -> tuple[str, ...]:
        """Ids of everybody alive after a generation, elites first; empty when it is not finished."""
        return tuple(dict.fromkeys(one for island in self.populations(generation) for one in island))

    def populations(self, generation: int) -> tuple[tuple[str, ...], ...]:
        """The survivors of a generation by island, those that have just arrived last."""
        sql = "SELECT island, id FROM survivors WHERE generation = :generation ORDER BY rank"
        rows = [tuple(row) for row in self._rows(sql, generation=generation)]
        most = self.config.islands
        if not all(type(island) is int and 0 <= island < most for island, _ in rows):
            raise LedgerError(
                f"The run database {self.path} has survivors on an island that the run has not.", HINT
            )
        islands = range(max((island for island, _ in rows), default=-1) + 1)
        return tuple(tuple(one for island, one in rows if island == number) for number in islands)

    def moves(self) -> tuple[tuple[int, Migration], ...]:
        """Who travelled from one island to another, and after which generation."""
        sql = "SELECT generation, id, source, target FROM moves ORDER BY generation, rank"
        return tuple((generation, Migration(*move)) for generation, *move in self._rows(sql))

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every table but for times, sorted: equal for two runs that did the same.

        Of a score's details only the names are kept: they hold times and memory.
        """
        return content_of(self.query)


def _named(key: ScoreKey) -> dict[str, object]:
    return {"split": key.split, "seed": key.seed, "epochs": key.epochs}


def read_replies(folder: Path) -> Mapping[str, Reply]:
    """All replies of a run by key, for `--llm replay:RUN`. Raises LedgerError."""
    with History(folder) as history:
        return dict(history.replies())

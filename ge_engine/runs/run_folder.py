"""What a run's folder tells, read again at every question."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ge_engine.config import RunConfig
from ge_engine.errors import ConfigError
from ge_engine.ledger.best import front_individuals
from ge_engine.ledger.history import History
from ge_engine.ledger.listing import Listed, listed
from ge_engine.ledger.records import Call
from ge_engine.ledger.replicates import Replicates, longer_trainings, spreads
from ge_engine.ledger.verdict import Verdict, verdict_of
from ge_engine.notation import Notation
from ge_engine.outcome import Outcome
from ge_engine.pareto import Direction, advantage
from ge_engine.population import SEED_ID, Child, Individual, Migration, with_genome
from ge_engine.runs.learning import StillRising, still_rising
from ge_engine.runs.lineage import Origin, ancestors, origins
from ge_engine.runs.making import making_of, parts_in_words
from ge_engine.runs.records import flat, records, whole_record
from ge_engine.runs.references import find_individual
from ge_engine.runs.what_worked import WhatWorked
from ge_engine.search.termination import INTERRUPTED
from ge_engine.tolerances import Tolerances

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to so far: its Pareto front, the verdict on it, and the child to look at first."""

    front: tuple[Individual, ...]
    verdict: Verdict
    best: Individual | None


@dataclass(frozen=True, slots=True, repr=False)
class RunFolder(WhatWorked):
    """A run's folder, read again at every question, so that it also serves while the run is going on.

    Raises LedgerError where the folder holds no run.
    """

    @property
    def seed(self) -> Individual:
        return with_genome([self.individual(SEED_ID)])[0]

    @property
    def individuals(self) -> list[Child]:
        """All, those without a genome among them, seed model first, in the order of generation and number."""
        with History(self.folder) as history:
            return list(history.individuals())

    def listed(self) -> Iterator[Listed]:
        """As `individuals`, one after the other and without genomes: also of a run of a million children."""
        with History(self.folder) as history:
            yield from listed(history)

    @property
    def size(self) -> int:
        """How many individuals there are, those without a genome and the seed model among them."""
        with History(self.folder) as history:
            return history.count()

    @property
    def front(self) -> list[Individual]:
        """The Pareto front of everything scored."""
        with History(self.folder) as history:
            return front_individuals(history)

    @property
    def verdict(self) -> Verdict:
        """Whether a child is better than the baseline, the seed model, beyond noise, and in which words."""
        return self.summary.verdict

    @property
    def summary(self) -> Summary:
        """Front, verdict and best child, read together."""
        with History(self.folder) as history:
            directions, front = history.directions, front_individuals(history)
            verdict = verdict_of(history, [one.id for one in front])
        return Summary(tuple(front), verdict, _best_of(front, verdict, directions))

    @property
    def directions(self) -> dict[str, Direction]:
        """The objectives, "min" or "max"."""
        with History(self.folder) as history:
            return history.directions

    @property
    def tolerances(self) -> Tolerances:
        """The differences that do not count, by objective."""
        with History(self.folder) as history:
            return history.tolerances

    @property
    def notations(self) -> dict[str, Notation]:
        """How figures of each objective are written."""
        with History(self.folder) as history:
            return history.notations

    @property
    def figure_notations(self) -> dict[str, Notation]:
        """How figures besides the objectives are written, as far as that is known."""
        with History(self.folder) as history:
            return history.figure_notations

    @property
    def config(self) -> RunConfig:
        """The settings of the latest session."""
        with History(self.folder) as history:
            return history.config

    @property
    def rejections(self) -> dict[str, int]:
        """How many children each check rejected, most first."""
        with History(self.folder) as history:
            return history.rejections()

    @property
    def stopped_because(self) -> str:
        """Why the latest session ended; "" while it goes on."""
        with History(self.folder) as history:
            return history.stopped_because

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended the latest session."""
        return self.stopped_because.startswith(INTERRUPTED)

    @property
    def best(self) -> Individual | None:
        """The child on the front to look at first: the best of those that are better than the baseline, else
        that with the best first objective; None where there is none."""
        return self.summary.best

    @property
    def scored_nothing(self) -> bool:
        """Whether there are children and none of them has a score."""
        with History(self.folder) as history:
            scored = any(identity != SEED_ID for identity, _, _ in history.scored_points())
            return not scored and any(identity != SEED_ID for identity in history.identities())

    @property
    def tests(self) -> dict[str, Outcome]:
        """Outcomes on the test split by individual: those of the finalists and the seed model."""
        with History(self.folder) as history:
            return history.test_outcomes()

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens that language models read and wrote."""
        with History(self.folder) as history:
            return history.tokens()

    @property
    def moves(self) -> tuple[tuple[int, Migration], ...]:
        """Who travelled from one island to another, and after which generation."""
        with History(self.folder) as history:
            return history.moves()

    @property
    def parts(self) -> list[str]:
        """In sentences, with what the run was made, where that changed."""
        with History(self.folder) as history:
            return parts_in_words(history)

    def records(self, children: Iterable[Child]) -> list[dict[str, Any]]:
        """Children as plain data for JSON."""
        return self._records(children, self.front)

    def _records(self, children: Iterable[Child], front: Sequence[Individual]) -> list[dict[str, Any]]:
        with History(self.folder) as history:
            return list(records(history, list(children), front))

    def record(self, identity: str) -> dict[str, Any]:
        """One individual as plain data for JSON, with lineage, code, prompts and replies, as `ge show --json`
        prints it. Raises ConfigError when the run has no such individual."""
        front = self.front
        with History(self.folder) as history:
            return whole_record(history, find_individual(history, identity), front)

    def as_data(self) -> dict[str, Any]:
        """What the run came to as plain data for JSON, as `ge evolve --json` prints it."""
        found = self.summary
        return {
            "run": str(self.folder),
            "verdict": found.verdict.sentence,
            "better": [one.id for one in found.verdict.better],
            "best": found.best.id if found.best else None,
            "baseline": self._records([self.seed], found.front)[0],
            "front": self._records(found.front, found.front),
            "rejected": self.rejections,
            "baseline_still_rising": still_rising(self.seed.outcome) is not None,
            "tokens": dict(zip(("input", "output"), self.tokens, strict=True)),
            "stopped_because": self.stopped_because,
            "interrupted": self.interrupted,
        }

    def to_dataframe(self) -> DataFrame:
        """Every individual as a row of a pandas DataFrame, its figures in columns "objectives.accuracy" and
        so on. Raises ConfigError where pandas is not installed."""
        try:
            import pandas as pd
        except ImportError:
            raise ConfigError("pandas is not installed.", "pip install pandas") from None
        return pd.DataFrame([flat(record) for record in self.records(self.individuals)])

    def making(self, identity: str) -> list[str]:
        """In sentences, with what an individual was made and scored, where that changed within the run."""
        with History(self.folder) as history:
            return making_of(history, identity)

    def lineage(self, identity: str) -> list[tuple[int, Child]]:
        """An individual and its ancestors, each once, first parents first, with how far up they are."""
        with History(self.folder) as history:
            return list(ancestors(history, identity))

    def calls(self, identity: str) -> list[Call]:
        """An individual's prompts and replies, in the order in which they were asked."""
        with History(self.folder) as history:
            return history.calls(identity)

    def individual(self, identity: str) -> Child:
        """Raises ConfigError when the run has no such individual."""
        with History(self.folder) as history:
            return find_individual(history, identity)

    @property
    def rescored(self) -> dict[str, Replicates]:
        """What further random seeds gave, the seed model first; empty without `rescore_seeds`."""
        with History(self.folder) as history:
            return spreads(history)

    @property
    def rescored_longer(self) -> dict[int, dict[str, Replicates]]:
        """As `rescored`, by the epochs of trainings that were longer than the run's."""
        with History(self.folder) as history:
            return {epochs: spreads(history, epochs) for epochs in longer_trainings(history)}

    @property
    def still_rising(self) -> StillRising | None:
        """What the baseline's learning curve says where it had not come to its end; None where it had."""
        return still_rising(self.individual(SEED_ID).outcome)

    def blame(self, identity: str) -> list[Origin]:
        """Who brought in each line of an individual that differs from the seed model."""
        with History(self.folder) as history:
            return origins(history, find_individual(history, identity))


def _best_of(
    front: Iterable[Individual], verdict: Verdict, directions: Mapping[str, Direction]
) -> Individual | None:
    children = {one.id: one for one in front if one.id in verdict.front}
    if verdict.better:
        return children[verdict.better[0].id]
    first, direction = next(iter(directions.items()))
    return max(
        children.values(), key=lambda one: advantage(one.objectives[first], 0.0, direction), default=None
    )

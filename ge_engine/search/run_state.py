"""Where a run stands, read from its database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ge_engine.errors import LedgerError
from ge_engine.ledger import Ledger
from ge_engine.noise import NO_TIES, Ties, front_of
from ge_engine.outcome import Outcome
from ge_engine.population import SEED_ID, Direction, Individual


class RunState:
    """The seed model, the populations alive, the front of everything scored, the next generation.

    `populations` are those of the islands. `unmerged` are children that passed the checks and have not
    entered theirs yet (schedule "steady").
    """

    def __init__(
        self,
        ledger: Ledger,
        seed: Individual,
        directions: Mapping[str, Direction],
        islands: int,
        ties: Ties = NO_TIES,
    ) -> None:
        self._ledger = ledger
        self.seed = seed
        self.next = ledger.next_generation()
        alive = ledger.populations(self.next - 1) if self.next else ((SEED_ID,),) * islands
        self.populations = [[self._load(identity) for identity in ids] for ids in alive]
        front = ledger.fronts(self.next - 1) if self.next else (SEED_ID,)
        self.front = [self._load(identity) for identity in front]
        self.unmerged = [self._load(identity) for identity in ledger.unmerged(self.next)]
        self.directions = directions
        self.ties = ties

    @property
    def population(self) -> list[Individual]:
        """Everybody alive, each once."""
        return list({one.id: one for island in self.populations for one in island}.values())

    @property
    def front_data(self) -> list[tuple[str, dict[str, float]]]:
        """Ids and objectives, as events tell a front."""
        return [(one.id, dict(one.objectives)) for one in self.front]

    @property
    def front_errors(self) -> dict[str, dict[str, float]]:
        """The standard errors of the objectives, by id."""
        return {one.id: dict(one.errors) for one in self.front}

    def _load(self, identity: str) -> Individual:
        one = self.seed if identity == SEED_ID else self._ledger.individual(identity)
        if not isinstance(one, Individual):
            raise LedgerError(
                f"The run database names {identity} and does not hold it.", "See `ge log --check`."
            )
        return one

    def parents_to_be(self) -> set[str]:
        """The digests of all whose children are not trained yet, or may still be generated."""
        waiting = [one for one in self.unmerged if self._outcome(one) is None]
        parents = [self._load(name) for one in waiting for name in one.parents[:1]]
        alive = [self.seed, *self.population, *self.unmerged, *parents]
        return {one.genome.digest for one in alive}

    def scored(self, born: Sequence[Individual]) -> list[Individual]:
        """Those of `born` that have a score by now, with it; the front is brought up to date."""
        known = [replace(one, outcome=self._outcome(one)) for one in born]
        scored = [one for one in known if one.scored]
        self.front = front_of([*self.front, *scored], self.directions, self.ties)
        return scored

    def _outcome(self, one: Individual) -> Outcome | None:
        return self._ledger.score(one.genome.digest)

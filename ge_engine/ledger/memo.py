"""What earlier sessions and generations have done, so that it is not done again."""

from __future__ import annotations

from ge_engine.ledger.history import History
from ge_engine.ledger.records import Call
from ge_engine.outcome import SCREEN, STAGES, Failed, Outcome, Scored

UNJUDGED = frozenset(stage.name for stage in STAGES if not stage.judges)
"""Stages of rejections that say nothing about the code: the engine or a plugin failed, or another child was
trained in its place."""
BEFORE = "(generation < :before OR slot < 0) ORDER BY generation, slot"


class Memo(History):
    """Answers by key, digest and fingerprint. `before` is the generation that asks: what its own children do
    has no part, so that the answer does not depend on their order."""

    def begun(self, generation: int) -> bool:
        """Whether an earlier session planned this generation."""
        sql = "SELECT 1 FROM generations WHERE generation = :generation"
        return self._one(sql, generation=generation) is not None

    def reply(self, key: str) -> Call | None:
        """The answer that an earlier session already has, so that it is never asked again."""
        return next(self._calls("key = :key", key=key), None)

    def has_recorded(self, individual: str) -> bool:
        """Whether an earlier session recorded this individual."""
        return self._one("SELECT 1 FROM individuals WHERE id = :id", id=individual) is not None

    def tried(self, digest: str, address: str, grammar: str, before: int) -> frozenset[str]:
        """Canonical answers for a block of a genome, of generations before `before`."""
        sql = (
            "SELECT DISTINCT canonical FROM calls"
            " WHERE digest = :digest AND address = :address AND grammar = :grammar"
            " AND generation < :before AND canonical <> ''"
        )
        return frozenset(self._ids(sql, digest=digest, address=address, grammar=grammar, before=before))

    def seen(self, digest: str, before: int) -> str | None:
        """The first individual with this digest, of the generations before `before` or the seed model, that
        would fare no better a second time. One that was refused because of another of its function stands for
        its code no longer than that other does; one that the engine or a plugin could not judge, not at
        all. Where it passed the checks and `screen` chose another, only who was trained stands for it: others
        of this code were refused because of that one."""
        sql = f"SELECT id, stage, fingerprint FROM individuals WHERE digest = :digest AND {BEFORE}"
        rows = self._rows(sql, digest=digest, before=before)
        unchosen = any(stage == SCREEN for _, stage, _ in rows)
        for identity, stage, fingerprint in rows:
            judged = stage is None or (stage not in UNJUDGED and not unchosen)
            if judged and (stage is None or not fingerprint or self.seen_function(fingerprint, before)):
                return str(identity)
        return None

    def seen_function(self, fingerprint: str, before: int) -> str | None:
        """The first individual of this function that passed the checks, of the generations before `before` or
        the seed model. One whose training had failed by then stands for none: lack of memory or time is not
        the function's."""
        sql = (
            "SELECT id, digest, (SELECT generation FROM merged WHERE merged.id = individuals.id)"
            " FROM individuals WHERE fingerprint = :fingerprint AND fingerprint <> ''"
            f" AND stage IS NULL AND {BEFORE}"
        )
        known = self._rows(sql, fingerprint=fingerprint, before=before) if fingerprint else ()
        for identity, digest, ended in known:
            if ended is None or ended >= before or _was_scored(self.score(digest)):
                return str(identity)
        return None


def _was_scored(outcome: Outcome | None) -> bool:
    """Whether it has figures: those of the whole training, or of the rung after which it was stopped."""
    return isinstance(outcome, Scored) or (isinstance(outcome, Failed) and outcome.kind == "stopped")

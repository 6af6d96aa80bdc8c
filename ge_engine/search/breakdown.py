"""A run ends where a part of it fails on one child after the other, before more prompts are paid for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ge_engine.blaming import FIX
from ge_engine.errors import EvaluationError, PluginError
from ge_engine.outcome import Failed, Outcome

ERROR = "error"
"""The kind of failure that is no candidate's own where one text stands under all of them. Crashes have few
texts."""
_RESUME = "Rerun the same command to resume the run."


class Breakdown:
    """Counts the children in a row that were lost so; `most` of them end the run."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._unmade = self._unscored = 0

    def bred(self, size: int, fault: str) -> None:
        """Told of each generation of `size` children: `fault` of a plugin has cost them all, "" where not.

        Raises:
            PluginError: `most` children were lost in a row.
        """
        self._unmade = self._unmade + size if fault else 0
        if self._unmade >= self._most:
            raise PluginError(
                f"A plugin's fault has cost all of the last {self._unmade} children: {fault}.",
                f"{FIX} {_RESUME}",
            )

    def ended(self, size: int, scored: int, others: Sequence[Outcome]) -> None:
        """Told of each generation of `size` children: how many have scores, and what came of `others` that
        passed the checks.

        Raises:
            EvaluationError: `most` children in a row have no score, by no fault of theirs.
        """
        reason = "" if scored else breakdown_of(others)
        if scored or (others and not reason):
            self._unscored = 0
        self._unscored += size if reason else 0
        if self._unscored >= self._most:
            raise EvaluationError(
                f"No child of the last {self._unscored} has a score, by no fault of theirs: {reason}.",
                f"Fix what scores the run. {_RESUME}",
            )


def breakdown_of(outcomes: Sequence[Outcome]) -> str:
    """The commonest reason where all have failed by no fault of the candidates, or all by an error of one and
    the same text; "" where one has not."""
    failed = [one for one in outcomes if isinstance(one, Failed)]
    if not failed or len(failed) < len(outcomes):
        return ""
    told = Counter(one.reason for one in failed)
    alike = len(failed) > 1 and len(told) == 1 and failed[0].kind == ERROR
    if alike or all(one.fault != "candidate" for one in failed):
        return told.most_common(1)[0][0].rstrip(".")
    return ""

"""Which of several servers gets the next request: the one with the fewest; those that fail are set aside.

Values and functions of them alone: the time is an argument (seconds on a monotonic clock), nothing is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

LONGEST_ASIDE = 60.0
"""Seconds for which a server is set aside at most, unless it asks for more itself."""
LONGEST_ASKED = 3600.0
"""Seconds for which a server is left alone at most, where it asks for that."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one server stands: requests that it has `in_work`; `failures` since its last answer; whether it is
    `in_service`; `aside_at` and `due`, when it was last set aside and is to be looked at again; `refuses`
    where what it said is not mended by waiting."""

    in_work: int = 0
    failures: int = 0
    in_service: bool = True
    aside_at: float = -inf
    due: float = -inf
    refuses: bool = False


@dataclass(frozen=True, slots=True)
class Balance:
    """The standings of all servers in their fixed order. Each gets `most` requests at once; the first time it
    is set aside for `pause` seconds, then for twice as long each time until it answers again."""

    standings: tuple[Standing, ...]
    most: int
    pause: float

    def chosen(self) -> int | None:
        """Which server gets the next request: of those in service and with room, the one with the fewest, of
        equals the first. With none in service, the one with room that is due first. None: it has to wait."""
        room = [number for number, one in enumerate(self.standings) if one.in_work < self.most]
        if self.has_service:
            serving = [number for number in room if self.standings[number].in_service]
            return min(serving, key=lambda number: self.standings[number].in_work, default=None)
        return min(room, key=lambda number: self.standings[number].due, default=None)

    @property
    def has_service(self) -> bool:
        """Whether any server is in service."""
        return any(one.in_service for one in self.standings)

    @property
    def is_hopeless(self) -> bool:
        """Whether all servers are set aside for what waiting does not mend."""
        return all(one.refuses and not one.in_service for one in self.standings)

    def taken(self, number: int) -> Balance:
        """With one more request at a server."""
        return self._with(number, in_work=self.standings[number].in_work + 1)

    def released(self, number: int) -> Balance:
        """With one request less at a server."""
        return self._with(number, in_work=self.standings[number].in_work - 1)

    def answered(self, number: int) -> Balance:
        """After a server's answer: whatever was wrong before is forgotten."""
        return self._with(number, failures=0, in_service=True, refuses=False)

    def failed(
        self, number: int, sent_at: float, now: float, least: float = 0.0, refuses: bool = False
    ) -> Balance:
        """With a server set aside for `least` seconds at least. What was sent before it was last set aside
        fails for a reason that is known: requests side by side count as one failure."""
        one = self.standings[number]
        if sent_at <= one.aside_at:
            return self
        doublings = min(one.failures, 60)
        due = now + max(min(least, LONGEST_ASKED), min(self.pause * 2**doublings, LONGEST_ASIDE))
        failures = one.failures + 1
        aside = {"in_service": False, "aside_at": now, "due": due, "refuses": refuses}
        return self._with(number, failures=failures, **aside)

    def back(self, number: int) -> Balance:
        """With a server in service that says that it is well. It has not answered a request yet."""
        return self._with(number, in_service=True, refuses=False)

    def _with(self, number: int, **changes: float) -> Balance:
        changed = replace(self.standings[number], **changes)  # type: ignore[arg-type]
        return replace(self, standings=(*self.standings[:number], changed, *self.standings[number + 1 :]))


def balanced(servers: int, most: int, pause: float) -> Balance:
    """So many servers, all in service and without work."""
    return Balance((Standing(),) * servers, most, pause)

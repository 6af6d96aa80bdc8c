"""All hostile candidates, by what they attack."""

from tests.hostile import candidates, measure

ALL = [*candidates.HOSTILE, *measure.HOSTILE]

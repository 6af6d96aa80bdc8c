"""All hostile candidates, by what they attack."""

from tests.hostile import candidates, files

ALL = [*candidates.HOSTILE, *files.HOSTILE]

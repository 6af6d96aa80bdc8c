"""A first job that must not score: it tells whether a program looks at the file that it is given."""

from __future__ import annotations

from ge_engine.contracts import Evaluation, Job
from ge_engine.errors import SeedError
from ge_engine.genome import Genome, Seed
from ge_engine.joint_genome import joined
from ge_engine.outcome import Scored

_SOURCE = b'raise ImportError("a file of ge_engine that must not score; --no-canary leaves it out")\n'


_BY_PATH = (
    "Let it load the model from that path, not from a module of its own, and fail where that fails. One that "
    "only reads the text goes with --no-canary."
)
_IN_PROJECT = (
    "The program has to import the seed model's file from its place in the --project, and to fail where "
    "that fails: does it import that file, and no copy or installed package?"
)


def refuse_blind(evaluation: Evaluation, seed: Genome, project: str = "") -> None:
    """Score a file whose import raises in place of `seed`, for as few epochs as can be. `project` is that of
    the program, where it has one.

    Raises:
        SeedError: it has a score, so whatever a child's file holds, its figures say nothing of it.
    """
    (main, file), *others = seed.seed.files.items()
    canary = joined({main: Seed.parsed(_SOURCE, file.path), **dict(others)})
    outcome = evaluation.submit(Job("canary", canary.genome, 0, epochs=1)).result()
    if isinstance(outcome, Scored):
        figures = ", ".join(f"{name} {value:g}" for name, value in outcome.objectives.items())
        raise SeedError(
            f"A file that cannot be imported was scored ({figures}): what scores the run does not use the "
            "file that it is given.",
            _IN_PROJECT if project else _BY_PATH,
        )

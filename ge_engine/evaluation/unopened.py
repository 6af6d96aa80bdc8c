"""Files of values that a seed model's code does not open: to evolve them would change nothing."""

from __future__ import annotations

import posixpath

from ge_engine.contracts import Probe
from ge_engine.errors import SeedError
from ge_engine.genome import Genome
from ge_engine.source.addresses import address_in
from ge_engine.source.language import PYTHON
from ge_engine.source.task_facts import decided_by_training


def require_opened(seed: Genome, probe: Probe) -> None:
    """Refuse a seed model with a file of values of which the `probe`, which went through, took nothing.

    Raises:
        SeedError: there is such a file.
    """
    main = next(iter(seed.files))
    for name, one in seed.files.items():
        names = one.evolvable
        if one.seed.language is PYTHON or {address_in(name, each) for each in names} & probe.executed:
            continue
        beside = posixpath.relpath(name, posixpath.dirname(main) or ".")
        if all(map(decided_by_training, names)):
            decided = ", ".join(names)
            raise SeedError(
                f"{main} takes nothing from {name} but what the training settings decide: {decided}.",
                f"Leave {name} out, and give those as settings: `ge evolve --help-all` names them.",
            )
        raise SeedError(
            f"{name} is not opened while {main} is imported, builds its model and trains it for a step.",
            f"Open it in the code by its place, as open(Path(__file__).parent / {beside!r}). A program of "
            "yours may read it in any way: --project DIR --command 'python train.py'.",
        )

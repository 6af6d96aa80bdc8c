"""Other variants of the seed model that a run begins with, beside it: files, or what an earlier run found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ge_engine.errors import ConfigError
from ge_engine.genome import Genome, Seed
from ge_engine.joint_genome import joined
from ge_engine.ledger import History, exists
from ge_engine.ledger.foreign import confirmed
from ge_engine.ledger.hand_made import HandMade
from ge_engine.variant import as_genome, variant_of


def starting_models(seed: Seed, names: Sequence[str]) -> tuple[HandMade, ...]:
    """The variants that `names` mean, each once: a changed copy of the seed model's file; a run's folder, for
    the front of its last generation; or RUN:ID.

    Raises:
        SeedError: a file that cannot be read or is the seed model, or a change that no block holds.
        ConfigError: no such individual, or a run that has finished no generation.
        LedgerError: a run is damaged.
    """
    made: dict[str, HandMade] = {}
    for name in names:
        for label, genome in _variants(seed, name):
            made.setdefault(genome.digest, HandMade(genome, f"a starting model: {label}"))
    return tuple(made.values())


def _variants(seed: Seed, name: str) -> Iterator[tuple[str, Genome]]:
    folder, _, identity = name.rpartition(":")
    if exists(Path(name)):
        yield from _of_run(seed, Path(name), ())
    elif not Path(name).is_file() and folder and exists(Path(folder)):
        yield from _of_run(seed, Path(folder), (identity,))
    else:
        yield name, variant_of(seed, name)


def _of_run(seed: Seed, folder: Path, ids: Sequence[str]) -> Iterator[tuple[str, Genome]]:
    """The individuals `ids` of a run, by default its front but for what is this run's seed model."""
    with History(folder) as history:
        history.seed = confirmed(history.seed)
        wanted = ids or history.fronts(history.next_generation() - 1)
        if not wanted:
            raise ConfigError(
                f"The run {folder} has finished no generation.", "Name one of its individuals, as RUN:ID."
            )
        for identity in wanted:
            one = history.individual(identity)
            if one is None or one.genome is None:
                raise ConfigError(
                    f"The run {folder} has no code of {identity!r}.", "`ge log` lists its individuals."
                )
            label = f"{folder}:{identity}"
            variant = joined(
                {
                    name: Seed.parsed(file.source, Path(label), file.seed.language)
                    for name, file in one.genome.files.items()
                }
            )
            if ids or variant.genome.digest != seed.genome.digest:
                yield label, as_genome(seed, variant)

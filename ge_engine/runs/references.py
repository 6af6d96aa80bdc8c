"""What the user points at: a Python file, an individual of a run (`RUN:ID`), a file of a revision in git."""

from __future__ import annotations

import difflib
import glob
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ge_engine.config import RunConfig, load_config
from ge_engine.errors import ConfigError
from ge_engine.genome import Genome, Seed
from ge_engine.ledger import History, exists
from ge_engine.ledger.foreign import confirmed
from ge_engine.notation import Notations
from ge_engine.outcome import Scored
from ge_engine.population import SEED_ID, Child
from ge_engine.runs.revisions import revision_of, why_no_revision
from ge_engine.seed_files import load_folder
from ge_engine.source.language import PYTHON, language_of
from ge_engine.source.seed_file import read_seed_file


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a file, or an individual with the settings of its run and its scores.
    Whatever runs it does so in the surroundings of this session."""

    label: str
    genome: Genome
    config: RunConfig
    scored: Scored | None = None
    notations: Notations = field(default_factory=dict)


def is_individual(reference: str) -> bool:
    """True for `RUN:ID`; an existing file wins over that reading."""
    return ":" in reference and not os.path.isfile(reference)


def split_reference(reference: str) -> tuple[Path, str]:
    """`RUN:ID` -> folder and id. Raises ConfigError when it has another form."""
    folder, colon, identity = reference.rpartition(":")
    if not (colon and folder and identity):
        raise ConfigError(
            f"{reference!r} does not name an individual.", "Write RUN:ID, for example runs/demo:g1s3."
        )
    return Path(folder), identity


def references_from(text: str) -> list[str]:
    """The individuals, as `RUN:ID`, whose reference begins with `text`; without a colon, of all runs whose
    folder does. Raises LedgerError where a run is damaged."""
    folder, colon, start = text.rpartition(":")
    start = start if colon else ""
    named: list[str] = []
    for run in [folder] if colon else sorted(glob.glob(f"{glob.escape(text)}*")):
        if run and exists(Path(run)):
            with History(Path(run)) as history:
                named += [f"{run}:{one}" for one in history.identities() if one.startswith(start)]
    return named


def find_individual(history: History, identity: str) -> Child:
    """Raises ConfigError when the run has no such individual."""
    found = history.individual(identity)
    if found is None:
        hint = _instead(history.folder, identity, history.identities())
        raise ConfigError(f"The run {history.folder} has no individual {identity!r}.", hint)
    return found


def _instead(folder: Path, identity: str, known: Sequence[str]) -> str:
    """What to do about an individual that is not among the `known`."""
    if not known:
        return (
            f"The baseline has no score yet: `{shlex.join(['ge', 'resume', str(folder)])}` resumes the run."
        )
    close = difflib.get_close_matches(identity, known, n=3)
    return f"Did you mean {', '.join(close)}?" if close else f"`{log_of(folder)}` lists them."


def log_of(folder: Path) -> str:
    """The command that lists a run's individuals, as a shell takes it."""
    return shlex.join(["ge", "log", str(folder)])


def require_genome(individual: Child) -> Genome:
    """Raises ConfigError for an individual whose reply gave no code."""
    if individual.genome is None:
        raise ConfigError(
            f"{individual.id} has no code: {individual.outcome.reason}.",
            "`ge show` prints its prompts and replies.",
        )
    return individual.genome


def load_side(reference: str) -> Side:
    """A file, a folder of files, an individual of a run, or a file of a revision as `git show` takes it
    (`HEAD:model.py`): files come first, then runs. Raises SeedError, LedgerError or ConfigError."""
    if not is_individual(reference):
        path = Path(reference)
        return _load_file(
            load_folder(path) if path.is_dir() else _seen(read_seed_file(path), path), reference
        )
    if not _is_in_a_run(reference) and (source := revision_of(reference)) is not None:
        return _load_file(_unplaced(source, reference), reference)
    folder, identity = _in_a_run(reference)
    with History(folder) as history:
        history.seed = confirmed(history.seed)
        return _side(history, reference, find_individual(history, identity))


def _load_file(seed: Seed, label: str) -> Side:
    return Side(label, seed.genome, load_config("demo", None, {}))


def _unplaced(source: bytes, name: str) -> Seed:
    """The seed model of a revision, which stands in no folder."""
    seed = _seen(source, Path(name))
    return Seed(source, None, seed.cut, seed.language)


def _seen(source: bytes, path: Path) -> Seed:
    """A file to look at, be it one of values."""
    values = language_of(path) is not PYTHON
    return Seed.parsed(source, path) if values else Seed.from_bytes(source, path)


def _is_in_a_run(reference: str) -> bool:
    """Whether there is a run, and it has the individual."""
    folder, _, identity = reference.rpartition(":")
    if not folder or not exists(Path(folder)):
        return False
    with History(Path(folder)) as history:
        return identity in history.identities()


def _in_a_run(reference: str) -> tuple[Path, str]:
    """The run's folder and the id of `RUN:ID`. Raises ConfigError where there is no such run: then
    `reference` is nothing else either."""
    folder, _, identity = reference.rpartition(":")
    if folder and identity and exists(Path(folder)):
        return Path(folder), identity
    run = f", for there is none in {folder}" if folder else ""
    raise ConfigError(
        f"{reference!r} is no file, nor an individual of a run{run}, nor a file of a revision in git: "
        f"{why_no_revision(reference)}.",
        "Write FILE, RUN:ID such as runs/demo:g1s3, or REVISION:FILE such as HEAD:model.py.",
    )


def _side(history: History, label: str, one: Child) -> Side:
    scored = one.outcome if isinstance(one.outcome, Scored) else None
    return Side(label, require_genome(one), history.config, scored, history.notations)


def sides_of(a: str, b: str | None) -> tuple[Side, Side]:
    """Two sides to compare; a lone `RUN:ID` has the seed model of its run as the other."""
    if b is not None:
        return load_side(a), load_side(b)
    if is_individual(a) and (_is_in_a_run(a) or revision_of(a) is None):
        return _load_with_seed(a)
    raise ConfigError(f"There is nothing to compare {a} with.", "Name a second file, or RUN:ID alone.")


def _load_with_seed(reference: str) -> tuple[Side, Side]:
    """The seed model of the run and the individual, for a lone `RUN:ID`."""
    folder, identity = _in_a_run(reference)
    with History(folder) as history:
        history.seed = confirmed(history.seed)
        seed = find_individual(history, SEED_ID)
        return (
            _side(history, f"{folder}:{SEED_ID}", seed),
            _side(history, reference, find_individual(history, identity)),
        )

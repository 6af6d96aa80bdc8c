"""Model files that nobody here wrote, each evolved for one generation by the real command, without a network.

python -m benchmarks.zoo                    all: 20 and more of torchvision, 5 and more of transformers
python -m benchmarks.zoo resnet18 levit     only these
python -m benchmarks.zoo files              the models of several files
python -m benchmarks.zoo files:maxvit       only this one

Each of one file is tried without --entry first; the entry of the table is given where that is refused. Leaves
with 1 when a model does not complete its generation, and when one of several files has no scored child or
children in one file only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.zoo_models import MODELS, SEVERAL, Model, installed
from ge_engine.entry import resolve_entry
from ge_engine.errors import SeedError
from ge_engine.genome import Seed
from ge_engine.ledger import History
from ge_engine.ledger.database import FILE
from ge_engine.outcome import Failed, Rejected, Scored
from ge_engine.population import SEED_ID, Individual
from ge_engine.source.addresses import split_address
from ge_plugins.tasks import DIGIT_SIZE

TIMEOUT_SECONDS = 900
SETTINGS = "--llm uniform --generations 1 --epochs 1 --lr 0.01 --workers 1"
OF_ONE = "--train-limit 64"
OF_SEVERAL = "--train-limit 32 --rescore-seeds 0"
CLASSES, CHANNELS = 10, 3
REFUSAL_SHOWN = 90
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a model. `refused` is why the entry had to be given, "" where it was found or belongs to
    the model; `given` is whether it was given; `reasons` are those of children that were not scored; `files`
    are the children by the file that they change, of a model of several; `fault` says why there is no whole
    generation, or what it lacks."""

    name: str
    entry: str
    refused: str
    given: bool
    outcomes: str
    reasons: tuple[str, ...]
    files: str
    seconds: float
    fault: str


def evolve(model: Model, entry: str, folder: Path) -> str:
    """Run the command for one generation in `folder`. Returns "" or the end of what it printed in vain."""
    command = [sys.executable, "-m", "ge_engine.cli", "evolve", str(model.path), *SETTINGS.split()]
    command += [*(OF_SEVERAL if model.several else OF_ONE).split(), "--run", str(folder)]
    command += [part for file in model.also for part in ("--also", str(installed(file)))]
    command += ["--population", str(model.children)]
    command += ["--package"] if model.package else []
    command += [part for pattern in model.blocks for part in ("--blocks", pattern)]
    command += ["--entry", entry] if entry else []
    command += ["--image-size", str(model.size)] if model.size else []
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            env=os.environ | OFFLINE,
        )
    except subprocess.TimeoutExpired:
        return f"error: not done after {TIMEOUT_SECONDS} s"
    return "" if done.returncode == 0 else done.stderr[-3000:] or f"exit code {done.returncode}"


def reason_in(text: str) -> str:
    """The sentence after "error:" in what a command printed."""
    lines = [line.partition("error: ")[2] for line in text.splitlines() if "error: " in line]
    return lines[0] if lines else text.strip().splitlines()[-1]


def found_entry(model: Model) -> str:
    """The entry that the command finds in the file for the task digits; "" where it finds none."""
    facts = {"num_classes": CLASSES, "in_channels": CHANNELS, "image_size": model.size or DIGIT_SIZE}
    try:
        return resolve_entry(Seed.load(model.path).genome, facts)
    except SeedError:
        return ""


def files_in(folder: Path) -> tuple[str, ...]:
    """The names of the files of a run's seed model, as addresses carry them."""
    with History(folder) as history:
        return tuple(history.seed.files)


def children_in(folder: Path) -> tuple[list[Individual], bool]:
    """The children of a run, and whether its generation is complete."""
    with History(folder) as history:
        children = [one for one in history.individuals() if one.id != SEED_ID]
        finished = sum(record.finished for record in history.generations())
    return children, finished == 1 and all(child.outcome for child in children)


def told(child: Individual) -> tuple[str, str]:
    """What became of a child, and why it was not scored."""
    match child.outcome:
        case Scored():
            return "scored", ""
        case Rejected(stage=stage, reason=reason):
            return f"rejected at {stage}", reason
        case Failed(stage=stage, kind=kind, reason=reason):
            return f"failed in {stage} ({kind})", reason
    return "open", ""


def changed_files(child: Individual) -> list[str]:
    """The files of a seed model of several that a child changes, each once."""
    addresses = [address for step in child.steps for address in step.addresses]
    return list(dict.fromkeys(split_address(address)[0] for address in addresses))


def by_file(names: Iterable[str], children: Sequence[Individual]) -> str:
    """How many children change each of the files, and how many of these were scored."""
    changed = Counter(file for child in children for file in changed_files(child))
    kept = [child for child in children if isinstance(child.outcome, Scored)]
    scored = Counter(file for child in kept for file in changed_files(child))
    return ", ".join(f"{file} {changed[file]} ({scored[file]} scored)" for file in names)


def lack(children: Sequence[Individual]) -> str:
    """What the children of a model of several files lack, "" for nothing."""
    if not any(isinstance(child.outcome, Scored) for child in children):
        return "error: no child was scored"
    several = len({file for child in children for file in changed_files(child)}) > 1
    return "" if several else "error: no children in two files"


def started(model: Model, folder: Path) -> tuple[str, str, str]:
    """Evolve a model, one of one file without and where need be with an entry: the entry, why it had to be
    given, and the end of what was printed in vain."""
    if model.several:
        return model.entry, "", evolve(model, model.entry, folder)
    fault = evolve(model, "", folder)
    if not fault:
        return found_entry(model), "", ""
    return model.entry, reason_in(fault), evolve(model, model.entry, folder)


def tried(model: Model, scratch: Path) -> Row:
    """What becomes of a model in one generation."""
    began = time.monotonic()
    entry, refused, fault = started(model, scratch / "run")
    children: list[Individual] = []
    files: tuple[str, ...] = ()
    if (scratch / "run" / FILE).is_file():
        files = files_in(scratch / "run")
        children, complete = children_in(scratch / "run")
        fault = fault or ("" if complete else "error: the generation is not complete")
    if not fault and model.several:
        fault = lack(children)
    ends = [told(child) for child in children]
    return Row(
        name=model.name,
        entry=entry,
        refused=refused,
        given=model.several or bool(refused),
        outcomes=", ".join(f"{count} {end}" for end, count in Counter(end for end, _ in ends).items()),
        reasons=tuple(reason for _, reason in ends if reason),
        files=by_file(files, children) if model.several else "",
        seconds=time.monotonic() - began,
        fault=reason_in(fault) if fault else "",
    )


def lines(row: Row, with_reasons: bool) -> Iterator[str]:
    """A row of the table; an entry that had to be given, and reasons, stand below it."""
    how = "given" if row.given else "found"
    yield f"{row.name:<33}{how:<8}{row.fault or row.outcomes:<62}{row.seconds:>5.0f} s"
    if row.fault and row.outcomes:
        yield f"    {row.outcomes}"
    if row.files:
        yield f"    {row.files}"
    yield f"    {row.entry}"
    if row.refused:
        yield f"    not found: {row.refused[:REFUSAL_SHOWN]}"
    if with_reasons:
        yield from (f"    {reason}" for reason in row.reasons)


def chosen(names: Sequence[str]) -> list[Model]:
    """The models that are named, whole, by their first word or by their kind; all where none is."""
    return [m for m in (*MODELS, *SEVERAL) if not names or {m.name, m.first_word, m.kind} & set(names)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="first words of rows of the table")
    parser.add_argument("--reasons", action="store_true", help="why children were not scored")
    options = parser.parse_args()
    models = chosen(options.names)
    os.nice(10)
    rows = []
    for model in models:
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(tried(model, Path(scratch)))
        print(*lines(rows[-1], options.reasons), sep="\n", flush=True)
    found = sum(not row.given for row in rows)
    faults = [row.name for row in rows if row.fault]
    print(f"{len(rows)} models, {found} without --entry, {len(faults)} failed: {', '.join(faults) or 'none'}")
    return 1 if faults or not rows else 0


if __name__ == "__main__":
    sys.exit(main())

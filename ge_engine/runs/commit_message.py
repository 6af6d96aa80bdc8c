"""What a commit of an individual says: changes by block, figures beside the baseline's, lineage, prompts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from ge_engine.changes import Change, diff_genomes, stat
from ge_engine.ledger.history import History
from ge_engine.ledger.records import to_json
from ge_engine.notation import PLAIN
from ge_engine.outcome import Scored
from ge_engine.population import SEED_ID, Child, Step
from ge_engine.runs.changed_files import ChangedFile
from ge_engine.runs.export import engine_of, rescored_line, validation_words
from ge_engine.runs.lineage import ancestors
from ge_engine.runs.references import require_genome
from ge_engine.views.console import one_line

SUBJECT, LINE = 72, 160
"""Characters of the first line and of another, at most."""
MOST_CHANGES, MOST_ANCESTORS = 60, 40


def commit_message(history: History, one: Child, changed: Sequence[ChangedFile]) -> str:
    """The message of a commit of `one`. What a language model or a run database may have written in it is
    bounded, in one line that we begin, and without control characters."""
    changes = diff_genomes(history.seed.genome, require_genome(one))
    parts = [
        [_subject(history, one, changed)],
        ["Changed, block by block:", *_some([_changed(c) for c in changes], MOST_CHANGES)],
        _figures(history, one),
        ["Lineage:", *_lineage(history, one)],
        [
            one_line(f"Run: {history.folder.absolute().name}", LINE),
            f"Individual: {one.id}",
            f"Prompts: {_prompts(history, one)}",
            one_line(f"Evolved-by: {engine_of(history, one)}", LINE),
        ],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _some(lines: Sequence[str], most: int) -> list[str]:
    more = len(lines) - most
    return [f"  {line}" for line in lines[:most]] + ([f"  and {more} more"] if more > 0 else [])


def _subject(history: History, one: Child, changed: Sequence[ChangedFile]) -> str:
    """ "Evolve model.py: accuracy +0.42, parameters -88.1 %"; with the individual where it has no figures."""
    names = ", ".join(file.path.name for file in changed)
    gains = ", ".join(f"{name} {change}" for name, _, _, change in _beside(history, one) if change)
    return one_line(f"Evolve {names}: {gains or one.id}", SUBJECT)


def _changed(change: Change) -> str:
    added, removed = stat(change)
    was = f" (was {change.old_address})" if change.kind == "renamed" else ""
    return one_line(f"{change.kind} {change.address}{was} +{added} -{removed}", LINE)


def _figures(history: History, one: Child) -> list[str]:
    """The individual's figures beside the baseline's; none of one without a score."""
    rows = [
        f"{name}: {new}, baseline {old}" + (f" ({change})" if change else "")
        for name, old, new, change in _beside(history, one)
    ]
    again = rescored_line(history, one.id)
    told = [f"  {one_line(line, LINE)}" for line in [*rows, *([again] if again else [])]]
    words = validation_words(one)
    return [f"Figures, {words[0].lower()}{words[1:]}:", *told] if told else []


def _beside(history: History, one: Child) -> Iterator[tuple[str, str, str, str]]:
    """Objective, the baseline's figure, the individual's, and the change."""
    seed = history.score(history.seed.genome.digest)
    if not isinstance(one.outcome, Scored) or not isinstance(seed, Scored):
        return
    for name, new in one.outcome.objectives.items():
        how, old = history.notations.get(name, PLAIN), seed.objectives[name]
        told = [how.measured(old, seed.errors.get(name)), how.measured(new, one.outcome.errors.get(name))]
        yield name, told[0], told[1], how.change(old, new)


def _lineage(history: History, one: Child) -> list[str]:
    family = [member for _, member in ancestors(history, one.id) if member.id != SEED_ID]
    told = [f"{one.id} from {', '.join(one.parents)}: {_steps(one.steps)}" for one in family]
    return _some([one_line(line, LINE) for line in told], MOST_ANCESTORS)


def _steps(steps: Sequence[Step]) -> str:
    return "; ".join(
        f"{step.operator} of {step.address} ({step.intent})" + (f", {step.note}" if step.note else "")
        for step in steps
    )


def _prompts(history: History, one: Child) -> str:
    """How many prompts there were for the individual and its ancestors, and a digest of them all."""
    digest, count = hashlib.sha256(), 0
    for _, member in ancestors(history, one.id):
        for call in history.calls(member.id):
            digest.update(to_json([call.prompt.system, call.prompt.user]).encode("utf-8", "replace") + b"\n")
            count += 1
    return f"{count}, sha256 {digest.hexdigest()}" if count else "none"

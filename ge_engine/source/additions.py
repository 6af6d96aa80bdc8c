"""What a patch adds to a file: the helpers and imports that it does not have yet, in a file that compiles."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ge_engine.genome import Genome, Segment
from ge_engine.outcome import Rejected
from ge_engine.source.bindings import bound_names
from ge_engine.source.digests import digest
from ge_engine.source.syntax import SyntaxFault, normalised, parse


def new_helpers(genome: Genome, codes: Sequence[str]) -> list[Segment] | Rejected:
    """Segments for the helpers that the genome does not have yet."""
    made: dict[str, Segment] = {}
    for code in codes:
        tree = parse(code)
        if isinstance(tree, SyntaxFault):
            return Rejected("compile", f"{tree}.")
        bound = bound_names(tree.body)
        if len(tree.body) != 1 or len(bound) != 1:
            return Rejected("contract", "a helper must be one definition.")
        name = next(iter(bound))
        if genome.bound.get(name) == digest(tree.body[0]):
            continue
        if name in genome.bound or name in made:
            return Rejected("contract", f"the helper {name} already means something else in this file.")
        made[name] = Segment(normalised(code).strip("\n").replace("\n", genome.seed.newline), name)
    return list(made.values())


def new_imports(genome: Genome, lines: Sequence[str]) -> list[str] | Rejected:
    """The import statements that bind something which the genome does not bind yet."""
    new = []
    for line in lines:
        tree = parse(line)
        body = tree.body if isinstance(tree, ast.Module) else []
        if len(body) != 1 or "\n" in line or not isinstance(body[0], (ast.Import, ast.ImportFrom)):
            return Rejected("contract", f"{line!r} is not one import statement.")
        meanings = bound_names(body)
        taken = [n for n, m in meanings.items() if genome.bound.get(n, m) != m]
        if taken:
            return Rejected("contract", f"{taken[0]} already means something else in this file.")
        if not meanings.keys() <= genome.bound.keys():
            new.append(line)
    return new


def checked(genome: Genome) -> Genome | Rejected:
    """The genome, where its file can be written in its encoding and compiles."""
    try:
        genome.source  # noqa: B018
    except UnicodeEncodeError as error:
        return Rejected("compile", f"the file's encoding has no character {error.object[error.start]!r}.")
    fault = genome.seed.language.fault(genome.text)
    return Rejected("compile", f"{fault}.") if fault else genome

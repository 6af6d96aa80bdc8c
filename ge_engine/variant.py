"""A changed copy of the seed model -> the genome that it is: rewritten blocks, new definitions and imports.

The copy may come from anybody: an editor, a chat window, a coding agent. What it changes between the blocks
has no place in a genome and is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePosixPath

from ge_engine.errors import SeedError
from ge_engine.genome import Genome, Seed, Segment, differing
from ge_engine.joint_genome import JointGenome, joined
from ge_engine.outcome import Rejected
from ge_engine.patch import apply, parse_patch
from ge_engine.source.additions import checked, new_helpers, new_imports
from ge_engine.source.addressing import find_statement
from ge_engine.source.bindings import import_statements, scope_names
from ge_engine.source.contract import check_contract
from ge_engine.source.digests import digest
from ge_engine.source.language import PYTHON
from ge_engine.source.seed_file import read_seed_file
from ge_engine.source.syntax import DEFINITIONS, SyntaxFault, name_of, normalised, parse, without_docstring

HINT = "A child rewrites blocks and brings new definitions and imports; `ge blocks` lists the blocks."
IMPORTS = (ast.Import, ast.ImportFrom)


def variant_of(seed: Seed, path: str | Path) -> Genome:
    """The genome of a changed copy of the seed model's file; of several, of a folder that holds those that
    changed, or of one that has the name of one of them.

    Blocks whose syntax trees differ are rewritten, and keep their names, parameters and members; definitions,
    constants and imports that the seed model lacks come along where something uses them. Imports that the
    copy lacks stay. Line ends and encoding are the seed model's.

    Raises:
        SeedError: it cannot be read, is not Python, means the same as the seed model, or changes what no
            block holds or what may not be rewritten, with the line.
    """
    return as_genome(seed, _read(seed, Path(path)))


def as_genome(seed: Seed, variant: Seed) -> Genome:
    """As `variant_of`, of a copy that was read."""
    made = _made(seed, variant)
    if not differing(seed.genome, made):
        how = "is" if variant.sources == seed.sources else "but for comments, docstrings and layout is"
        raise SeedError(f"{variant.path} {how} the same as the seed model.", "Change what a block does.")
    return made


def _made(seed: Seed, variant: Seed) -> Genome:
    if seed.files.keys() != variant.files.keys():
        message = f"{variant.path} has other files than the seed model: {', '.join(seed.files)}."
        raise SeedError(message, "A child has the seed model's files.")
    if not isinstance(seed.genome, JointGenome):
        return _changed(seed, variant)
    pairs = ((name, one, variant.files[name]) for name, one in seed.files.items())
    changed = {name: _changed(one, other) for name, one, other in pairs if one.source != other.source}
    return seed.genome.with_files(changed)


def _changed(one: Seed, other: Seed) -> Genome:
    """The genome of a changed copy of one file."""
    return _Cut(one, other).genome() if one.language is PYTHON else _with_values(one, other)


def _with_values(seed: Seed, variant: Seed) -> Genome:
    """As `_changed`, of a file of values: each entry that differs, in the layout of the seed model's."""
    made = seed.genome
    if _outside(seed) != _outside(variant):
        raise SeedError(f"{variant.path} has other keys than the seed model, or not in its order.", HINT)
    for name, block in variant.genome.blocks.items():
        if block.digest == made.blocks[name].digest:
            continue
        if reason := made.reason(name):
            message = (
                f"{variant.path}, line {block.lines[0]}: the block {name} may not be rewritten: {reason}."
            )
            raise SeedError(message, HINT)
        patch = parse_patch(made, name, block.code)
        child = patch if isinstance(patch, Rejected) else apply(made, patch)
        if isinstance(child, Rejected):
            raise SeedError(f"{variant.path}, line {block.lines[0]}: {child.reason}", HINT)
        made = child
    return made


def _outside(file: Seed) -> list[str]:
    """The names of a file's blocks, and what stands between them."""
    return [segment.name or segment.digest for segment in file.cut.segments if segment.name or segment.digest]


def _read(seed: Seed, path: Path) -> Seed:
    """The copy: a file; of a seed model of several files one that has the name of one of them, or a folder
    that holds some at their places. Files that it does not hold are the seed model's."""
    if len(seed.files) == 1:
        return Seed.load(path)
    if path.is_dir():
        there = {name: path / name for name in seed.files if (path / name).is_file()}
    else:
        there = {name: path for name in seed.files if PurePosixPath(name).name == path.name}
    if not there or (len(there) > 1 and not path.is_dir()):
        raise SeedError(
            f"{path} is not told to be one of the seed model's files: {', '.join(seed.files)}.",
            "Give a folder that holds what you changed at these places.",
        )
    return joined(
        {
            name: Seed.parsed(read_seed_file(there[name]), there[name], one.language)
            if name in there
            else one
            for name, one in seed.files.items()
        }
    )


@dataclass(frozen=True, slots=True)
class _Cut:
    """The two files. `replaced` are segments by their place in the seed model; `waiting` are new definitions
    that stand before the next block, by name, `places` the blocks before which those stand that have met
    theirs."""

    seed: Seed
    variant: Seed
    replaced: dict[int, Segment] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)

    def genome(self) -> Genome:
        expected = [(self._key(one), one) for one in _statements(self.seed)]
        met, last = 0, max(self.seed.cut.index.values(), default=0)
        for statement in _statements(self.variant):
            key = self._key(statement)
            if met < len(expected) and key == expected[met][0]:
                met += 1
                if key in self.seed.cut.index:
                    self._meet(key, statement)
            else:
                self._wait(statement, expected[met:])
        if met < len(expected):
            raise self._missing(expected[met][1])
        self._place(last)
        imports = tuple(sorted(chain.from_iterable(map(self._imports, _imports_of(self.variant)))))
        made = Genome(self.seed, self.replaced, self._helpers(), imports).tidied()
        return self._whole(made)

    def _key(self, statement: ast.stmt) -> str:
        """The name of what may be a block of both files; of anything else, what it means."""
        name = name_of(statement)
        both = name in self.seed.cut.index and name in self.variant.cut.index
        return name if both else digest(statement)

    def _meet(self, name: str, statement: ast.stmt) -> None:
        """A block that both files have."""
        place = self.seed.cut.index[name]
        self._place(place)
        old, new = self.seed.cut.segments[place], self._segment(name)
        if old.facts.digest == new.facts.digest:
            return
        if reason := self.seed.genome.reason(name):
            raise self._refused(statement, f"the block {name} may not be rewritten: {reason}")
        code = new.code
        tree, outer = parse(code), old.facts.outer
        assert outer is not None
        if isinstance(tree, SyntaxFault):
            raise self._refused(statement, f"the block {name} cannot be a block any more: {tree.reason}")
        node = find_statement(tree, name, outer.kind)
        broken = node if isinstance(node, Rejected) else check_contract(old, outer, node, code)
        if broken is not None:
            raise self._refused(statement, broken.reason.removesuffix("."))
        self.replaced[place] = Segment(code.replace("\n", self.seed.newline), name)

    def _wait(self, statement: ast.stmt, expected: list[tuple[str, ast.stmt]]) -> None:
        """A statement that the seed model does not have here: a new definition, or a mistake."""
        name = _defined_alone(statement)
        if any(self._key(statement) == key for key, _ in expected):
            raise self._missing(expected[0][1])
        if not name or name in self.seed.genome.bound:
            raise self._refused(statement, self._outside(statement))
        if isinstance(statement, DEFINITIONS) and name not in self.variant.cut.index:
            raise self._refused(statement, f"{name}: {self.variant.cut.reasons[name]}")
        self.waiting[name] = self._code(name, statement)

    def _outside(self, statement: ast.stmt) -> str:
        """Why a statement that is no block may not differ from the seed model's."""
        named = (one.name for one in ast.walk(statement) if isinstance(one, DEFINITIONS))
        barred = ((name, reason) for name in named if (reason := self.seed.genome.reason(name)))
        for name, reason in barred:
            return f"{name} may not be rewritten: {reason}"
        return f"`{_shown(statement)}` stands outside of the blocks and is not in the seed model"

    def _code(self, name: str, statement: ast.stmt) -> str:
        """A new definition with the comments above it."""
        if isinstance(statement, DEFINITIONS):
            cut = self.variant.cut
            at = cut.index[name]
            return "".join(segment.code for segment in cut.segments[cut.leads[at] : at + 1])
        return ast.get_source_segment(normalised(self.variant.genome.text), statement) or ""

    def _place(self, place: int) -> None:
        """Put what waits before the block at `place`."""
        self.codes.update(self.waiting)
        self.places.update(dict.fromkeys(self.waiting, place))
        self.waiting.clear()

    def _helpers(self) -> dict[int, tuple[Segment, ...]]:
        made = new_helpers(self.seed.genome, list(self.codes.values()))
        if isinstance(made, Rejected):
            raise SeedError(f"{self.variant.path}: {made.reason}", HINT)
        found: dict[int, tuple[Segment, ...]] = {}
        for helper in made:
            place = self.places[helper.name]
            found[place] = (*found.get(place, ()), helper)
        return found

    def _imports(self, statement: ast.Import | ast.ImportFrom) -> list[str]:
        """The statements that bind what the seed model does not, each one name."""
        special = isinstance(statement, ast.ImportFrom) and (
            statement.module == "__future__" or statement.names[0].name == "*"
        )
        if special and digest(statement) not in map(digest, _imports_of(self.seed)):
            raise self._refused(statement, f"`{_shown(statement)}` would act on all of the file")
        found = new_imports(self.seed.genome, list(import_statements([statement]).values()))
        if isinstance(found, Rejected):
            raise self._refused(statement, found.reason.removesuffix("."))
        return found

    def _segment(self, name: str) -> Segment:
        return self.variant.cut.segments[self.variant.cut.index[name]]

    def _whole(self, made: Genome) -> Genome:
        whole = checked(made)
        if isinstance(whole, Rejected):
            raise SeedError(f"{self.variant.path}: {whole.reason}", HINT)
        for segment in self.replaced.values():
            if reason := whole.reason(segment.name):
                raise SeedError(
                    f"{self.variant.path}: {segment.name} could not be rewritten again: {reason}."
                )
        return whole

    def _refused(self, statement: ast.stmt, why: str) -> SeedError:
        return SeedError(f"{self.variant.path}, line {statement.lineno}: {why}.", HINT)

    def _missing(self, statement: ast.stmt) -> SeedError:
        what = f"`{_shown(statement)}` (line {statement.lineno} of the seed model)"
        return SeedError(f"{self.variant.path}: {what} is not at its place as in the seed model.", HINT)


def _body(file: Seed) -> list[ast.stmt]:
    return without_docstring(ast.parse(normalised(file.genome.text)).body)


def _statements(file: Seed) -> list[ast.stmt]:
    """The statements of a file but for imports and its docstring."""
    return [one for one in _body(file) if not isinstance(one, IMPORTS)]


def _imports_of(file: Seed) -> Iterator[ast.Import | ast.ImportFrom]:
    return (one for one in _body(file) if isinstance(one, IMPORTS))


def _defined_alone(statement: ast.stmt) -> str:
    """The one name that a definition or plain assignment gives a value; "" for any other statement."""
    valued = isinstance(statement, ast.AnnAssign) and statement.value is not None
    plain = isinstance(statement, (*DEFINITIONS, ast.Assign)) or type(statement).__name__ == "TypeAlias"
    names = set(scope_names(statement)) if plain or valued else set[str]()
    return names.pop() if len(names) == 1 else ""


def _shown(statement: ast.stmt) -> str:
    """The first line of a statement, without its body."""
    return ast.unparse(statement).strip().split("\n")[0][:80]

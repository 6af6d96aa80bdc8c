"""Bytes <-> Seed, Genome, Block. Every byte outside a patched block stays what it was.

A genome is its seed model's segments, of which some are replaced, plus helper definitions and imports that
patches brought along. Nothing but compiling costs more on a larger file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ge_engine.errors import SeedError
from ge_engine.source.addresses import address_in, split_address
from ge_engine.source.assembly import Assembly
from ge_engine.source.bindings import UNTOLD, merge
from ge_engine.source.blocks import (
    Block,
    conditional_reason,
    list_blocks,
    method_reason,
    nothing_to_evolve,
    own_reason,
)
from ge_engine.source.facts import Kind, Signature, Span
from ge_engine.source.language import PYTHON, Language, language_of
from ge_engine.source.records import read_record
from ge_engine.source.seed_file import read_seed_file
from ge_engine.source.segmenter import SegmentedFile
from ge_engine.source.segments import Segment

__all__ = ["Block", "Genome", "Kind", "Seed", "Segment", "Signature", "Span", "differing"]


class Seed:
    """A model file as it was read: bytes, line end, indent, and its cut into segments."""

    def __init__(
        self, source: bytes, path: Path | None, cut: SegmentedFile, language: Language = PYTHON
    ) -> None:
        self.source = source
        self.path = path
        self.language = language
        self.newline = cut.newline
        self.indent = cut.indent
        self.cut = cut
        self.texts = [segment.text for segment in cut.segments]
        self.genome = Genome(self, {}, {}, ())

    @property
    def files(self) -> Mapping[str, Seed]:
        """The files by the names that addresses carry, the one that builds the model first; the only file of
        a seed model has the name ""."""
        return {"": self}

    @property
    def sources(self) -> tuple[tuple[str, bytes], ...]:
        """Name and content of each file: what another seed model has as well if it is this one."""
        return tuple((name, one.source) for name, one in self.files.items())

    @cached_property
    def digests(self) -> list[str]:
        """The digests of the seed model's segments."""
        return [segment.digest for segment in self.cut.segments]

    def restored(self, delta: Mapping[str, Any]) -> Genome:
        """The genome that `Genome.delta` described, now or in a run database of schema 4 and before, which
        gave for a block's name its number among the definitions of the file. Raises SeedError when it is of
        another seed model."""
        return Genome(self, *read_record(self.cut, delta, self.language))

    @classmethod
    def load(cls, path: str | Path) -> Seed:
        """Read a model file.

        Raises:
            SeedError: it cannot be read, is not Python, or has no block that can be evolved.
        """
        return cls.from_bytes(read_seed_file(Path(path)), Path(path))

    def __reduce__(self) -> tuple[Any, ...]:
        return Seed.parsed, (self.source, self.path, self.language)

    @classmethod
    def from_bytes(cls, data: bytes, path: Path | None = None) -> Seed:
        """Cut `data` into blocks. Raises SeedError with the line that stands in the way."""
        seed = cls.parsed(data, path)
        blocks = seed.genome.blocks.values()
        if all(block.kind == "values" or block.reason for block in blocks):
            raise SeedError(*nothing_to_evolve(str(path or "seed"), blocks))
        return seed

    @classmethod
    def parsed(cls, data: bytes, path: Path | None = None, language: Language | None = None) -> Seed:
        """As `from_bytes`, of a file that need not hold anything to evolve; of a language that its path's end
        names, unless it is given."""
        language = language or language_of(path)
        return cls(data, path, language.cut(data, str(path or "seed")), language)


class Genome:
    """The seed model with zero or more blocks replaced. Immutable; made by `ge_engine.patch.apply`."""

    def __init__(
        self,
        seed: Seed,
        replaced: Mapping[int, Segment],
        helpers: Mapping[int, tuple[Segment, ...]],
        imports: tuple[str, ...],
    ) -> None:
        self.seed = seed
        self.replaced = replaced
        self.helpers = helpers
        self.imports = imports

    @property
    def files(self) -> Mapping[str, Genome]:
        """The genome of each file by the name that addresses carry, the one that builds the model first; the
        only file has the name ""."""
        return {"": self}

    @property
    def main(self) -> Genome:
        """The file that builds the model."""
        return next(iter(self.files.values()))

    @property
    def sources(self) -> dict[str, bytes]:
        """The content of each file by its name."""
        return {name: one.source for name, one in self.files.items()}

    def at(self, address: str) -> tuple[Genome, str]:
        """The file that a block stands in, and its address there; where there is none, the first and all."""
        name, local = split_address(address)
        one = self.files.get(name)
        return (self.main, address) if one is None else (one, local)

    @property
    def _parts(self) -> Assembly:
        return Assembly(self.seed.cut, self.replaced, self.helpers, self.imports)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """All segments in the order of the file, helpers and imports included."""
        return tuple(segment for _, segment in self._parts.placed())

    @cached_property
    def text(self) -> str:
        return "".join(self._parts.joined(self.seed.texts, lambda segment: segment.text))

    @cached_property
    def source(self) -> bytes:
        cut = self.seed.cut
        return cut.bom + self.text.encode(cut.encoding)

    @cached_property
    def digest(self) -> str:
        """Equal for two genomes of one seed whose syntax trees are equal, docstrings apart."""
        parts = "".join(self._parts.joined(self.seed.digests, lambda segment: segment.digest))
        return hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()

    @cached_property
    def blocks(self) -> Mapping[str, Block]:
        """Every definition by its address, in the order of the file."""
        found = list_blocks(self._parts.placed(), self.seed.cut.blocked, self.reason)
        return MappingProxyType({block.address: block for block in found})

    @cached_property
    def evolvable(self) -> tuple[str, ...]:
        """The addresses that may be rewritten."""
        return tuple(address for address, block in self.blocks.items() if not block.reason)

    @cached_property
    def bound(self) -> Mapping[str, str]:
        """All names of the module, however they are bound, each with what it means (see `bound_names`); "*"
        when there are more that cannot be told."""
        bound: dict[str, str] = {}
        for segment in self.segments:
            if segment.text and not segment.text.isspace():
                merge(bound, segment.facts.binds)
        return {**dict.fromkeys(self.seed.cut.names, UNTOLD), **bound}

    def segment(self, name: str) -> Segment | None:
        """The segment that holds the top-level definition `name`."""
        place = self.seed.cut.index.get(name)
        if place is not None:
            return self.replaced.get(place, self.seed.cut.segments[place])
        return self._helpers_by_name.get(name)

    def has_comment_beside(self, name: str) -> bool:
        """Whether a comment of the file follows the top-level block `name` on its last line."""
        place = self.seed.cut.index.get(name)
        after = self.seed.texts[place + 1 : place + 2] if place is not None else []
        return bool(after) and after[0].lstrip(" \t").startswith("#")

    @cached_property
    def _helpers_by_name(self) -> Mapping[str, Segment]:
        return {helper.name: helper for group in self.helpers.values() for helper in group}

    def reason(self, address: str) -> str | None:
        """Why `address` is not evolvable, "" when it is, None when there is no such block."""
        name, dot, method = address.partition(".")
        if dot and not method:
            return None
        blocked = self.seed.cut.reasons.get(address)
        segment = self.segment(name)
        if segment is None or (method and segment.method(method) is None):
            return blocked or conditional_reason(segment, method)
        top = self.seed.cut.reasons.get(name)
        if not method:
            return top or own_reason(segment)
        return top or blocked or method_reason(segment, method)

    def replace(self, name: str, segment: Segment) -> Genome:
        """This genome with another text for the top-level definition `name`."""
        place = self.seed.cut.index.get(name)
        if place is not None:
            return Genome(self.seed, {**self.replaced, place: segment}, self.helpers, self.imports)
        helpers = {
            at: tuple(segment if s.name == name else s for s in group) for at, group in self.helpers.items()
        }
        return Genome(self.seed, self.replaced, helpers, self.imports)

    def insert(self, before: str, segments: Sequence[Segment], imports: Iterable[str]) -> Genome:
        """This genome with helper definitions before the block `before`, and imports added once."""
        merged = tuple(sorted({*self.imports, *imports}))
        if not segments:
            return Genome(self.seed, self.replaced, self.helpers, merged)
        place, group, at = self._parts.spot(before)
        helpers = {**self.helpers, place: (*group[:at], *segments, *group[at:])}
        return Genome(self.seed, self.replaced, helpers, merged)

    def tidied(self) -> Genome:
        """This genome without replacements that equal the seed model, and without helpers and imports that
        patches once brought and nothing uses any more."""
        parts = self._parts.tidied()
        return Genome(self.seed, parts.replaced, parts.helpers, parts.imports)

    def delta(self) -> dict[str, Any]:
        """What differs from the seed model, as plain data for JSON: by name of the seed model's blocks the
        text of those replaced and the helpers (name, text) before them, and the imports."""
        names = [segment.name for segment in self.seed.cut.segments]
        return {
            "replaced": {names[at]: s.text for at, s in sorted(self.replaced.items())},
            "helpers": {names[at]: [[s.name, s.text] for s in g] for at, g in sorted(self.helpers.items())},
            "imports": list(self.imports),
        }

    @classmethod
    def from_delta(cls, seed: Seed, delta: Mapping[str, Any]) -> Genome:
        """The genome that `delta()` described. Raises SeedError when it is of another seed model."""
        return seed.restored(delta)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.seed.restored, (self.delta(),)


def differing(a: Genome, b: Genome) -> tuple[str, ...]:
    """Addresses of blocks, evolvable in both genomes, whose syntax trees differ.

    The addresses do not overlap. Of a class that differs in the body of exactly one evolvable method
    it is that method's address; otherwise the class's own, so that methods that belong together are
    exchanged together.
    """
    return tuple(
        address_in(file, address)
        for file, one in a.files.items()
        if file in b.files
        for address in _differing(one, b.files[file])
    )


def _differing(a: Genome, b: Genome) -> Iterator[str]:
    """`differing` within one file."""
    for name in _top_level(a):
        one, other = a.segment(name), b.segment(name)
        if one is None or other is None or one is other or a.reason(name) or b.reason(name):
            continue
        if one.facts.digest == other.facts.digest:
            continue
        yield _finest(a, b, one, other)


def _finest(a: Genome, b: Genome, one: Segment, other: Segment) -> str:
    if not one.facts.skeleton or one.facts.skeleton != other.facts.skeleton:
        return one.name
    pairs = zip(one.facts.methods, other.facts.methods, strict=True)
    methods = [f"{one.name}.{x.name}" for x, y in pairs if x.digest != y.digest]
    if len(methods) == 1 and not a.reason(methods[0]) and not b.reason(methods[0]):
        return methods[0]
    return one.name


def _top_level(genome: Genome) -> Iterator[str]:
    return (segment.name for segment in genome.segments if segment.name)
